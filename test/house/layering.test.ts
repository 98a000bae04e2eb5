// The house rules that a compiler does not check: who may import whom, no circles, no `any`, a heading for every file, small
// files. The order of the layers is the one that ARCHITECTURE.md draws.

import { basename } from 'node:path';
import ts from 'typescript';
import { describe, expect, test } from 'vitest';
import { architectures } from '../../src/models/index.js';
import { layerOf, nodesOf, type SourceFile, sourceFiles } from './source-files.js';

/** From the bottom up: each may import those before it. */
const chain = 'errors tensor util graph models engine editors eval report train commands'.split(' ');

/** What stands beside the chain, on `errors`, `tensor` and `util` alone. */
const beside = ['checkpoint', 'tokenizer', 'linalg', 'data'];

const foundation = ['errors', 'tensor', 'util'];

/** Which of those beside the chain a layer of it may use. */
const usesBeside: Readonly<Record<string, readonly string[]>> = {
  // Of linalg the types only: the engine brings the matrix product that linalg works with.
  engine: ['checkpoint', 'linalg'],
  editors: beside,
  eval: beside,
  report: [],
  train: beside,
  commands: beside,
};

function allowedLayers(layer: string): readonly string[] {
  if (layer === 'cli') return ['errors', 'util', 'commands'];
  if (layer === 'index') return [...chain, ...beside];
  if (beside.includes(layer)) return foundation;
  const place = chain.indexOf(layer);
  if (place < 0) throw new Error(`src/${layer} is not in the order of layers: give it a place there`);
  return [...chain.slice(0, place), ...(usesBeside[layer] ?? [])];
}

/** Where each package may be imported; `node:` modules everywhere but in the pure layers. */
const packages: Readonly<Record<string, (path: string) => boolean>> = {
  'onnxruntime-node': (path) => path === 'engine/session-host.ts',
  koffi: (path) => path === 'engine/allocator.ts',
  '@bufbuild/protobuf': (path) => layerOf(path) === 'graph',
  tokenizers: (path) => layerOf(path) === 'tokenizer',
  commander: (path) => layerOf(path) === 'cli',
  'cli-progress': (path) => layerOf(path) === 'cli',
  picocolors: (path) => layerOf(path) === 'cli',
  'csv-parse': (path) => path === 'data/csv-rows.ts',
  yaml: (path) => layerOf(path) === 'cli',
  zod: (path) => ['models', 'data', 'editors', 'checkpoint', 'commands', 'cli'].includes(layerOf(path)),
};

/** Layers that run anywhere: arithmetic and graphs, no files, no processes. */
const pure = ['errors', 'tensor', 'graph', 'models', 'linalg'];

const generated = ['graph/onnx_pb.ts'];
const longest = 350;

const files = sourceFiles();
const written = files.filter(({ path }) => !generated.includes(path));

function packageName(specifier: string): string {
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
}

function packageProblem({ path, layer }: SourceFile, target: string): string[] {
  if (target.startsWith('node:')) return pure.includes(layer) ? [`${path} imports ${target}: ${layer} is pure`] : [];
  const allowed = packages[packageName(target)];
  return allowed?.(path) ? [] : [`${path} imports ${target}`];
}

describe('imports', () => {
  test('run strictly downwards', () => {
    const upward = files.flatMap(({ path, layer, imports }) => {
      const allowed = [layer, ...allowedLayers(layer)];
      const local = imports.filter((found) => found.local && !allowed.includes(layerOf(found.target)));
      return local.map(({ target }) => `${path} imports ${target}`);
    });
    expect(upward).toEqual([]);
  });

  test('of linear algebra by the engine are types', () => {
    const values = files
      .filter(({ layer }) => layer === 'engine')
      .flatMap(({ path, imports }) =>
        imports
          .filter(({ target, typeOnly }) => layerOf(target) === 'linalg' && !typeOnly)
          .map(({ target }) => `${path} imports ${target}`),
      );
    expect(values).toEqual([]);
  });

  test('never go in a circle', () => {
    expect(circles(files)).toEqual([]);
  });

  test('lead to files that exist', () => {
    const known = new Set(files.map(({ path }) => path));
    const missing = files.flatMap(({ path, imports }) =>
      imports.filter(({ local, target }) => local && !known.has(target)).map(({ target }) => `${path} -> ${target}`),
    );
    expect(missing).toEqual([]);
  });

  test('of packages stay where they belong', () => {
    const misplaced = files.flatMap((file) =>
      file.imports.filter(({ local }) => !local).flatMap(({ target }) => packageProblem(file, target)),
    );
    expect(misplaced).toEqual([]);
  });
});

/** Circles of files, each once, as the path around it. Imports of types count: a circle of types is one to a reader, too. */
function circles(all: readonly SourceFile[]): string[] {
  const targets = new Map(all.map(({ path, imports }) => [path, imports.filter(({ local }) => local)]));
  const state = new Map<string, 'open' | 'done'>();
  const found: string[] = [];
  const visit = (path: string, trail: readonly string[]): void => {
    if (state.get(path) === 'open') found.push([...trail.slice(trail.indexOf(path)), path].join(' -> '));
    if (state.has(path)) return;
    state.set(path, 'open');
    for (const { target } of targets.get(path) ?? []) visit(target, [...trail, path]);
    state.set(path, 'done');
  };
  for (const { path } of all) visit(path, []);
  return found;
}

describe('every file', () => {
  test('opens with a comment that says what it is', () => {
    const bare = written.filter(({ text }) => !/^\/\/ \S.{20,}/.test(text)).map(({ path }) => path);
    expect(bare).toEqual([]);
  });

  test(`has at most ${longest} lines`, () => {
    const long = written
      .map(({ path, text }) => ({ path, lines: text.trimEnd().split('\n').length }))
      .filter(({ lines }) => lines > longest);
    expect(long).toEqual([]);
  });

  test('uses no `any`', () => {
    const uses = written.flatMap(({ path, tree }) =>
      [...nodesOf(tree)]
        .filter(({ kind }) => kind === ts.SyntaxKind.AnyKeyword)
        .map((node) => `${path}:${tree.getLineAndCharacterOfPosition(node.getStart()).line + 1}`),
    );
    expect(uses).toEqual([]);
  });

  test('has a name in kebab case, an architecture the name of its model_type', () => {
    const architecture = (path: string) =>
      /^models\/\w+\.ts$/.test(path) && Object.hasOwn(architectures, basename(path, '.ts'));
    const others = written.filter(({ path }) => !architecture(path)).map(({ path }) => path);
    expect(others.filter((path) => !/^([a-z0-9-]+\/)*[a-z0-9-]+\.ts$/.test(path))).toEqual([]);
  });
});

test('the rules see what they forbid', () => {
  expect(files.length).toBeGreaterThan(100);
  expect(files.flatMap(({ imports }) => imports).length).toBeGreaterThan(300);
  const tree = (path: string, text: string) => ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true);
  expect([...nodesOf(tree('x.ts', 'let x: any'))].some(({ kind }) => kind === ts.SyntaxKind.AnyKeyword)).toBe(true);
  expect(files.find(({ path }) => path === 'cli/command-table.ts')!.imports).toContainEqual({
    target: 'commands/edit.ts',
    local: true,
    typeOnly: false,
  });
  const file = (path: string, target: string): SourceFile => ({
    path,
    layer: layerOf(path),
    text: '',
    tree: tree(path, ''),
    imports: [{ target, local: true, typeOnly: true }],
  });
  expect(circles([file('a/a.ts', 'a/b.ts'), file('a/b.ts', 'a/a.ts')])).toEqual(['a/a.ts -> a/b.ts -> a/a.ts']);
});
