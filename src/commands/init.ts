// `malmen init`: writes an example of facts and settings to start from. Never over anything.

import { mkdir, readFile, stat } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { fileError, MalmenError } from '../errors.js';
import { writeFileAtomic } from '../util/atomic-file.js';
import type { CommandContext } from './events.js';
import type { InitOptions } from './options.js';

/** What was written, and how to go on. */
export interface InitResult {
  /** What was written. */
  readonly files: readonly string[];
  /** Commands to go on with. */
  readonly next: readonly string[];
}

interface NewFile {
  readonly path: string;
  readonly text: string;
}

/** As far from the sources as from the built files. */
const examples = new URL('../../data/example/', import.meta.url);

/** A path that ends in `.csv` or `.jsonl` is a file of facts, anything else a folder that gets facts and settings. */
export async function init({ path }: InitOptions, { emit }: CommandContext): Promise<InitResult> {
  const isFile = ['.csv', '.jsonl'].includes(extname(path));
  const [facts, ...others] = isFile ? [await exampleFacts(path)] : await exampleFolder(path);
  const files = [facts!, ...others];
  await refuseExisting(files);
  if (!isFile) await makeFolder(path);
  for (const file of files) await writeFileAtomic(file.path, file.text);
  const settings = others.map((file) => `npx malmen edit --settings ${quoted(file.path)}`);
  const next = [`npx malmen check ${quoted(facts!.path)}`, ...settings];
  emit({ kind: 'note', text: `wrote ${files.map((file) => file.path).join(' and ')}: put your own facts in, then` });
  for (const text of next) emit({ kind: 'note', text, style: 'command' });
  return { files: files.map((file) => file.path), next };
}

async function exampleFacts(path: string): Promise<NewFile> {
  return { path, text: await example(`facts${extname(path)}`) };
}

async function exampleFolder(dir: string): Promise<NewFile[]> {
  const facts = await exampleFacts(join(dir, 'facts.csv'));
  const settings = (await example('edit.yaml'))
    .replace('RECORDS', () => JSON.stringify(facts.path))
    .replace('OUT', () => JSON.stringify(join(dir, 'edited')));
  return [facts, { path: join(dir, 'edit.yaml'), text: settings }];
}

const example = (name: string) => readFile(new URL(name, examples), 'utf8');

/** @throws MalmenError that names all files that are there already: none of them, then, was written */
async function refuseExisting(files: readonly NewFile[]): Promise<void> {
  const taken: string[] = [];
  for (const { path } of files) if (await stat(path).catch(() => undefined)) taken.push(path);
  if (taken.length === 0) return;
  throw new MalmenError(
    'exists',
    `${taken.join(', ')}: there already, nothing was written; name another folder or file`,
  );
}

async function makeFolder(path: string): Promise<void> {
  await mkdir(path, { recursive: true }).catch((error) => {
    throw fileError(error, path, 'making the folder');
  });
}

/** For a shell. */
const quoted = (path: string) => (/^[\w./\\:-]+$/.test(path) ? path : `"${path}"`);
