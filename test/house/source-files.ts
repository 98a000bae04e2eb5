// The source files of the program and what each of them imports, read with the compiler's own parser. Judges nothing.

import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

export const root = fileURLToPath(new URL('../..', import.meta.url));

interface Import {
  /** A package, `node:...`, or a file of `src` by its path there. */
  readonly target: string;
  readonly local: boolean;
  /** Erased when compiled. */
  readonly typeOnly: boolean;
}

export interface SourceFile {
  /** Inside `src`, with slashes: `engine/worker.ts`. */
  readonly path: string;
  /** The folder of `src`, or the file's own name where it lies in none: `engine`, `errors`. */
  readonly layer: string;
  readonly text: string;
  readonly tree: ts.SourceFile;
  readonly imports: readonly Import[];
}

export function sourceFiles(): SourceFile[] {
  const folder = join(root, 'src');
  const paths = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith('.ts'));
  return paths.sort().map((path) => {
    const text = readFileSync(join(folder, path), 'utf8');
    const slashed = path.split(sep).join('/');
    const tree = ts.createSourceFile(slashed, text, ts.ScriptTarget.Latest, true);
    return { path: slashed, layer: layerOf(slashed), text, tree, imports: importsOf(tree) };
  });
}

export function layerOf(path: string): string {
  return path.includes('/') ? path.slice(0, path.indexOf('/')) : path.replace(/\.ts$/, '');
}

/** Every node of a syntax tree. */
export function* nodesOf(node: ts.Node): Generator<ts.Node> {
  yield node;
  for (const child of node.getChildren()) yield* nodesOf(child);
}

function importsOf(tree: ts.SourceFile): Import[] {
  const found: Import[] = [];
  const add = (specifier: ts.Node | undefined, typeOnly: boolean) => {
    if (specifier && ts.isStringLiteral(specifier)) found.push(resolved(tree.fileName, specifier.text, typeOnly));
  };
  for (const node of nodesOf(tree)) {
    if (ts.isImportDeclaration(node)) add(node.moduleSpecifier, isErased(node.importClause));
    else if (ts.isExportDeclaration(node)) add(node.moduleSpecifier, node.isTypeOnly);
    else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword)
      add(node.arguments[0], false);
    else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) add(node.argument.literal, true);
  }
  return found;
}

/** `import type`, or nothing but types in the braces. */
function isErased(clause: ts.ImportClause | undefined): boolean {
  if (!clause) return false;
  if (clause.phaseModifier === ts.SyntaxKind.TypeKeyword) return true;
  const { namedBindings } = clause;
  const named = namedBindings && ts.isNamedImports(namedBindings) ? namedBindings.elements : [];
  return !clause.name && named.length > 0 && named.every(({ isTypeOnly }) => isTypeOnly);
}

function resolved(from: string, specifier: string, typeOnly: boolean): Import {
  if (!specifier.startsWith('.')) return { target: specifier, local: false, typeOnly };
  const target = normalize(join(dirname(from), specifier))
    .split(sep)
    .join('/')
    .replace(/\.js$/, '.ts');
  return { target, local: true, typeOnly };
}
