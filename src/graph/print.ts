// A program as text, one operation a line: for people, for snapshots in tests, and as the identity of a compiled program.

import type { Value } from './ops.js';
import type { Program } from './program.js';
import { typeText } from './shape-rules.js';

/** Two programs with the same text compute the same. */
export function printProgram(program: Program): string {
  const names = new Map<Value, string>();
  const lines: string[] = [];
  for (const value of program.order) {
    names.set(value, nameOf(value, lines.length));
    if (value.op !== 'constant') lines.push(`${names.get(value)}: ${typeText(value)}${definition(value, names)}`);
  }
  const outputs = [...program.outputs].map(([name, value]) => `${name} = ${names.get(value)}`);
  return [...lines, `return ${outputs.join(', ')}`].join('\n');
}

function nameOf(value: Value, index: number): string {
  switch (value.op) {
    case 'input':
      return `$${value.attributes.name}`;
    case 'parameter':
      return `@${value.attributes.name}`;
    case 'constant':
      return String(value.attributes.value);
    default:
      return `%${index}`;
  }
}

function definition(value: Value, names: ReadonlyMap<Value, string>): string {
  if (value.op === 'input' || value.op === 'parameter') return '';
  const operands = value.inputs.map((operand) => names.get(operand)!);
  const attributes = Object.entries(value.attributes)
    .filter(([, setting]) => setting !== false)
    .map(([key, setting]) => (setting === true ? key : `${key}=${JSON.stringify(setting)}`));
  return ` = ${value.op}(${[...operands, ...attributes].join(', ')})`;
}
