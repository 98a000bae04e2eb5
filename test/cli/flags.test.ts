// Every command's flags against its schema: any valid options, written as a command line, come back the same.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import type { CommandEntry } from '../../src/cli/command-entry.js';
import { commandTable } from '../../src/cli/command-table.js';
import { type Flag, flagsOf } from '../../src/cli/flags.js';
import { runCli } from '../../src/cli/run.js';
import { FakeTerminal } from './fake-terminal.js';

/** The command with a function that only keeps what it was given. */
function spied(entry: CommandEntry): { readonly commands: CommandEntry[]; readonly seen: unknown[] } {
  const seen: unknown[] = [];
  const run = async (options: unknown) => {
    seen.push(options);
    return { result: {}, failed: false };
  };
  return { commands: [{ ...entry, run }], seen };
}

const word = fc.string({ minLength: 1, maxLength: 12 });
const item = word.map((text) => text.replaceAll(',', ';'));

/** Values of a flag's kind; whether the schema takes them is asked of the schema. */
function valuesOf(flag: Flag): fc.Arbitrary<unknown> {
  switch (flag.kind) {
    case 'switch':
      return fc.boolean();
    case 'integer':
      return fc.oneof(fc.integer({ min: 1, max: 100_000 }), fc.constant(Number.MAX_SAFE_INTEGER));
    case 'number':
      return fc.oneof(fc.double({ min: 1e-300, max: 1, noNaN: true }), fc.double({ min: 1, max: 1e300, noNaN: true }));
    case 'choice':
      return fc.constantFrom(...flag.choices);
    case 'list':
      return fc.array(item, { minLength: 1, maxLength: 4 });
    case 'text':
      return flag.pattern === undefined ? word : fc.stringMatching(new RegExp(flag.pattern));
  }
}

function optionsOf(flags: readonly Flag[], { shape }: z.ZodObject): fc.Arbitrary<Record<string, unknown>> {
  const taken = (key: string, value: unknown) => z.safeParse(shape[key]!, value).success;
  const model = Object.fromEntries(flags.map((flag) => [flag.key, valuesOf(flag).filter((value) => taken(flag.key, value))])); // biome-ignore format: one line
  const requiredKeys = flags.filter(({ required }) => required).map(({ key }) => key);
  return fc.record(model, { requiredKeys });
}

/** The command line that says these options, lists once as repeated flags and once with commas. */
function toArgv(flags: readonly Flag[], options: Record<string, unknown>, commas: boolean): string[] {
  const argv: string[] = [];
  const last: string[] = [];
  for (const flag of flags) {
    const value = options[flag.key];
    if (value === undefined) continue;
    if (flag.positional) last.push('--', String(value));
    else if (typeof value === 'boolean') argv.push(value ? flag.name : flag.name.replace('--', '--no-'));
    else if (!Array.isArray(value)) argv.push(flag.name, String(value));
    else if (commas) argv.push(flag.name, value.join(','));
    else argv.push(...value.flatMap((one) => [flag.name, one]));
  }
  return [...argv, ...last];
}

describe.each(commandTable)('malmen $name', (entry) => {
  const flags = flagsOf(entry.schema, entry.positional);

  test('takes any valid options as flags', async () => {
    const { commands, seen } = spied(entry);
    await fc.assert(
      fc.asyncProperty(optionsOf(flags, entry.schema), fc.boolean(), async (options, commas) => {
        const terminal = new FakeTerminal();
        const code = await runCli([entry.name, ...toArgv(flags, options, commas)], terminal, commands);
        expect(terminal.stderr.text).toBe('');
        expect(code).toBe(0);
        expect(seen.at(-1)).toEqual(entry.schema.parse(options));
      }),
      { numRuns: 60 },
    );
  });

  test('has examples that are valid command lines', async () => {
    const { commands, seen } = spied(entry);
    expect(entry.examples.length).toBeGreaterThan(0);
    for (const { line } of entry.examples) {
      const terminal = new FakeTerminal();
      const argv = [...line.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain!);
      await runCli(argv, terminal, commands);
      expect(terminal.stderr.text).toBe('');
    }
    expect(seen).toHaveLength(entry.examples.length);
  });

  test('describes every option', () => {
    for (const flag of flags) expect(flag.description, flag.name).not.toBe('');
    expect(flags.map(({ key }) => key)).toEqual(Object.keys(entry.schema.shape));
  });

  test.each([80, 120])('prints help of at most %i columns', async (columns) => {
    const terminal = new FakeTerminal({ columns });
    expect(await runCli([entry.name, '--help'], terminal)).toBe(0);
    // Examples are for copying and stay whole.
    const [help = ''] = terminal.stdout.text.split('\nExamples:');
    for (const line of help.split('\n')) expect(line.length).toBeLessThanOrEqual(columns);
    if (columns === 80) expect(terminal.stdout.text).toMatchSnapshot();
  });
});

test('a schema that no flag can express is refused', async () => {
  const { z } = await import('zod');
  expect(() => flagsOf(z.strictObject({ point: z.object({ x: z.number() }) }))).toThrow('option point: no flag');
});
