// Which tensor of a checkpoint holds which parameter of a model, whatever prefix its names have. Knows no runtime.

import type { ModelFolder } from '../checkpoint/model-folder.js';
import type { TensorEntry } from '../checkpoint/stored-tensor.js';
import { MalmenError } from '../errors.js';
import type { ModelDefinition } from '../models/model.js';

const floatTypes: ReadonlySet<string> = new Set(['f32', 'f16', 'bf16']);

type Tensors = ReadonlyMap<string, TensorEntry>;

/**
 * Finds every parameter's tensor. Tensors that the model does not name (mask buffers, a stored tied head) are not used.
 * @throws MalmenError that lists what is missing or has another shape or dtype
 */
export function matchTensors(
  definition: ModelDefinition,
  { dir, tensors }: Pick<ModelFolder, 'dir' | 'tensors'>,
): Map<string, TensorEntry> {
  const named = withoutPrefix(definition, tensors);
  const names = new Set(named.keys());
  const problems: string[] = [];
  const found = new Map<string, TensorEntry>();
  for (const { name, shape, isHead } of definition.parameters) {
    const entry = named.get(definition.tensorName(name, names));
    const hint = isHead ? ' (the head of the task: `malmen fit` can teach this checkpoint one)' : '';
    if (!entry) problems.push(`tensor '${name}' is missing${hint}`);
    else if (String(entry.shape) !== String(shape)) {
      problems.push(`tensor '${entry.name}' has shape [${entry.shape}], config.json asks for [${shape}]`);
    } else if (!floatTypes.has(entry.dtype)) {
      problems.push(`tensor '${entry.name}' has dtype ${entry.dtype}, expected one of f32, f16, bf16`);
    } else found.set(name, entry);
  }
  if (problems.length === 0) return found;
  const shown = problems.slice(0, 5).join('; ');
  const more = problems.length > 5 ? `; and ${problems.length - 5} more` : '';
  throw new MalmenError('bad-input', `${dir}: the weights do not fit the configuration: ${shown}${more}`);
}

/**
 * The tensors by names without a prefix such as `backbone.`, which a model has as a part of another one. Only where the names
 * as they are do not do, and those without the prefix do for every parameter; names that never had it stay.
 */
function withoutPrefix(definition: ModelDefinition, tensors: Tensors): Tensors {
  if (holdsAll(definition, tensors)) return tensors;
  for (const prefix of prefixesOf(tensors.keys())) {
    const named = strip(tensors, prefix);
    if (holdsAll(definition, named)) return named;
  }
  return tensors;
}

function holdsAll({ parameters, tensorName }: ModelDefinition, tensors: Tensors): boolean {
  const names = new Set(tensors.keys());
  return parameters.every(({ name }) => names.has(tensorName(name, names)));
}

/** One to three parts of dotted names, each once, the shorter ones first. */
function prefixesOf(names: Iterable<string>): string[] {
  const prefixes = new Set<string>();
  for (const name of names) {
    const parts = name.split('.');
    for (let count = 1; count < Math.min(4, parts.length); count++) prefixes.add(`${parts.slice(0, count).join('.')}.`);
  }
  return [...prefixes].sort((a, b) => a.length - b.length);
}

/** A name with the prefix goes before one that never had it. */
function strip(tensors: Tensors, prefix: string): Tensors {
  const named = new Map([...tensors].filter(([name]) => !name.startsWith(prefix)));
  for (const [name, entry] of tensors) if (name.startsWith(prefix)) named.set(name.slice(prefix.length), entry);
  return named;
}
