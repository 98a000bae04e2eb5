// torch.save files that are refused: what would run code, what would unfold, what is cut short or contradicts itself. Each with
// a message that names the file and the reason; nothing is ever run.

import { existsSync, writeFileSync } from 'node:fs';
import { deflateRawSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { openWeightFile } from '../../../src/checkpoint/open-weight-file.js';
import { MalmenError } from '../../../src/errors.js';
import { temporaryPaths } from '../temporary-folder.js';
import { call, dict, global, int, none, persistent, pickle, text, tuple } from './pickle-writer.js';
import { archiveEntries, archiveOf, floats, legacyOf, type RawCheckpoint, type RawTensor } from './torch-writer.js';
import { type RawEntry, zipOf } from './zip-writer.js';

const newPath = temporaryPaths();

const checkpoint: RawCheckpoint = {
  storages: { '0': floats(1, 2, 3, 4) },
  tensors: { w: { storage: '0', shape: [2, 2], strides: [2, 1] } },
};

async function refusal(content: Uint8Array, name = 'pytorch_model.bin'): Promise<MalmenError> {
  const path = newPath(name);
  writeFileSync(path, content);
  const error = await openWeightFile(path).then(
    () => new Error('the file was opened'),
    (reason) => reason,
  );
  expect(error).toBeInstanceOf(MalmenError);
  expect(error.message).toContain(path);
  return error;
}

describe.each([
  ['zip', archiveOf],
  ['older', legacyOf],
] as const)('a pickle that asks for more than tensors (%s layout)', (_, write) => {
  const marker = newPath('marker');
  const shell = text(`touch ${marker}`);
  const cases: [string, Buffer, RegExp][] = [
    [
      'os.system',
      call(global('os', 'system'), shell),
      /the pickle asks for 'os\.system' \(byte \d+\).*nothing of it was run/,
    ],
    ['posix.system', call(global('posix', 'system'), shell), /'posix\.system'/],
    ['builtins.eval', call(global('builtins', 'eval'), text('1')), /'builtins\.eval'/],
    ['__builtin__.getattr', call(global('__builtin__', 'getattr'), none, text('x')), /'__builtin__\.getattr'/],
    ['subprocess.Popen', call(global('subprocess', 'Popen'), shell), /'subprocess\.Popen'/],
    [
      'a name by STACK_GLOBAL',
      Buffer.concat([text('os'), text('system'), Buffer.from([0x93]), tuple(shell), Buffer.from('R')]),
      /'os\.system'/,
    ],
    ['a whole module', call(global('torch.nn', 'Linear'), int(1)), /'torch\.nn\.Linear'/],
    ['a name of torch that is not on the list', call(global('torch.hub', 'load'), shell), /'torch\.hub\.load'/],
    [
      'a complex storage',
      persistent(tuple(text('storage'), global('torch', 'ComplexFloatStorage'))),
      /'torch\.ComplexFloatStorage'/,
    ],
    ['INST', Buffer.concat([Buffer.from('('), shell, Buffer.from('ios\nsystem\n')]), /operation 0x69 \(INST\)/],
    [
      'NEWOBJ',
      Buffer.concat([global('collections', 'OrderedDict'), tuple(), Buffer.from([0x81])]),
      /operation 0x81 \(NEWOBJ\)/,
    ],
    ['EXT1', Buffer.from([0x82, 1]), /operation 0x82 \(EXT1\)/],
    [
      'a call of a storage class',
      call(global('torch', 'FloatStorage'), int(1)),
      /a call of something that is no known function/,
    ],
    ['a call of a text', call(text('os.system'), shell), /a call of something that is no known function/],
    [
      'attributes of a tensor',
      Buffer.concat([int(1), dict({ x: int(1) }), Buffer.from('b')]),
      /setting the attributes of an object/,
    ],
  ];

  test.each(cases)('%s', async (_name, value, message) => {
    const error = await refusal(write(checkpoint, dict({ w: value })));
    expect(error.code).toBe('unsupported');
    expect(error.message).toMatch(message);
    expect(existsSync(marker)).toBe(false);
  });
});

describe('a damaged pickle', () => {
  const tensor = (change: Partial<RawTensor>): RawCheckpoint => ({
    ...checkpoint,
    tensors: { w: { ...checkpoint.tensors.w!, ...change } },
  });
  const of = (value: Buffer) => archiveOf(checkpoint, value);
  const cases: [string, Buffer, RegExp][] = [
    ['a tensor beyond its storage', archiveOf(tensor({ offset: 1 })), /reaches element 5 of a storage of 4/],
    ['strides beyond it', archiveOf(tensor({ strides: [3, 1] })), /reaches element 5 of a storage of 4/],
    ['a huge tensor over one number', archiveOf(tensor({ shape: [1e9, 8], strides: [0, 0] })), /over 4 elements/],
    [
      'a shape that overflows',
      archiveOf(tensor({ shape: [2 ** 30, 2 ** 30, 2], strides: [0, 0, 0] })),
      /over 4 elements/,
    ],
    ['other strides than sizes', archiveOf(tensor({ strides: [1] })), /2 sizes with 1 strides/],
    ['a negative size', archiveOf(tensor({ shape: [-2, 2] })), /a shape that is no list of whole numbers/],
    ['a value that is used before it is stored', of(Buffer.from([0x68, 9])), /refers to value 9/],
    ['a mark that is not there', of(Buffer.from('t')), /a mark that is not there/],
    [
      'items without a dictionary',
      of(Buffer.concat([int(1), text('a'), int(1), Buffer.from('s')])),
      /where no dictionary is/,
    ],
    ['appending to a tuple', of(Buffer.concat([tuple(int(1)), int(1), Buffer.from('a')])), /where no list is/],
    ['an empty stack', of(Buffer.from('.')), /a value that is not there/],
    ['text that is not UTF-8', of(Buffer.from([0x58, 1, 0, 0, 0, 0xff])), /not UTF-8/],
    ['a text of 4 GB', of(Buffer.from([0x58, 0xff, 0xff, 0xff, 0xff])), /the pickle ends early/],
    [
      'a whole number of a megabyte',
      of(Buffer.concat([Buffer.from([0x8b, 0, 0, 16, 0]), Buffer.alloc(2 ** 20)])),
      /a whole number of 1048576 bytes/,
    ],
    ['a protocol to come', of(Buffer.from([0x80, 9])), /protocol 9 is newer/],
    ['no state_dict', of(int(7)), /holds a number; expected a state_dict/],
    [
      'a state_dict with more in it',
      of(dict({ model: dict({}), epoch: int(3) })),
      /more than weights \('model' holds a dictionary\)/,
    ],
    ['a number among tensors', of(dict({ epoch: int(3) })), /'epoch' is a number; expected a tensor/],
    [
      'a list as a key',
      of(Buffer.concat([Buffer.from('}]'), int(1), Buffer.from('s')])),
      /a key that is neither text nor a number/,
    ],
  ];

  test.each(cases)('%s', async (_, content, message) => {
    expect((await refusal(content)).message).toMatch(message);
  });
});

describe('an archive', () => {
  const entries = archiveEntries(checkpoint);
  const without = (name: string) => entries.filter((entry) => entry.name !== `archive/${name}`);
  const changed = (name: string, change: Partial<RawEntry>) =>
    entries.map((entry) => (entry.name === `archive/${name}` ? { ...entry, ...change } : entry));
  const zeros = Buffer.alloc(64 * 2 ** 20);
  const bomb = { data: deflateRawSync(zeros), method: 8, claimed: zeros.length };

  const cases: [string, Buffer, RegExp][] = [
    ['that unfolds to 64 MB', zipOf(changed('data/0', bomb)), /'archive\/data\/0' is compressed \(method 8\)/],
    ['whose pickle unfolds', zipOf(changed('data.pkl', bomb)), /'archive\/data\.pkl' is compressed/],
    [
      'whose entries share bytes',
      zipOf([
        ...entries,
        {
          name: 'archive/data/9',
          data: floats(1, 2, 3, 4).bytes,
          at: zipOf(entries.slice(0, 2)).length - 22 - 2 * 46 - 'archive/data.pklarchive/byteorder'.length,
        },
      ]),
      /share bytes/,
    ],
    ['that is encrypted', zipOf(changed('data/0', { flags: 1 })), /is encrypted/],
    ['with an entry twice', zipOf([...entries, entries[0]!]), /'archive\/data\.pkl' is there twice/],
    [
      'with an entry that reaches into the directory',
      zipOf(changed('version', { claimed: 1e6 })),
      /runs into the directory/,
    ],
    ['with an entry of 4 GB', zipOf(changed('data/0', { claimed: 0xfffffff0 })), /runs into the directory/],
    [
      'with an entry that begins nowhere',
      zipOf(changed('data/0', { at: 5 })),
      /no entry where 'archive\/data\/0' should begin/,
    ],
    ['with an entry beyond the file', zipOf(changed('data/0', { at: 1e6 })), /outside the file's/],
    ['without a pickle', zipOf(without('data.pkl')), /not one of torch\.save: it has 0 entries NAME\/data\.pkl/],
    ['without a storage', zipOf(without('data/0')), /storage '0' is missing/],
    [
      'with a storage that is too short',
      zipOf(changed('data/0', { data: new Uint8Array(15) })),
      /storage '0' should have 16 bytes, the file has 15/,
    ],
    ['of a big-endian machine', zipOf(changed('byteorder', { data: Buffer.from('big') })), /byte order 'big'/],
    [
      'of TorchScript',
      zipOf([...entries, { name: 'archive/constants.pkl', data: Buffer.from('x') }]),
      /a TorchScript program/,
    ],
    ['of something else', zipOf([{ name: 'word/document.xml', data: Buffer.from('<x/>') }]), /not one of torch\.save/],
    ['that is empty', zipOf([]), /not one of torch\.save/],
  ];

  test.each(cases)('%s', async (_, content, message) => {
    expect((await refusal(content)).message).toMatch(message);
  });

  test('cut anywhere', async () => {
    const whole = zipOf(entries);
    for (let length = 4; length < whole.length; length += 7) {
      expect((await refusal(whole.subarray(0, length))).message).toMatch(
        /damaged or truncated|not a file of torch\.save/,
      );
    }
  });
});

describe('an older file', () => {
  test('cut anywhere', async () => {
    const whole = legacyOf(checkpoint);
    for (let length = 16; length < whole.length; length += 5) {
      expect((await refusal(whole.subarray(0, length))).message).toMatch(/truncated or damaged|damaged or truncated/);
    }
  });

  test('whose storages have another number of elements', async () => {
    const whole = legacyOf(checkpoint);
    whole.writeBigInt64LE(5n, whole.length - 16 - 8);
    expect((await refusal(whole)).message).toMatch(/storage '0' has 5 elements, expected 4/);
  });
});

describe('something else', () => {
  test.each([
    ['an error page', '<!DOCTYPE html><html>', /it is a web page; the download failed/],
    ['nothing', '', /it is empty/],
    ['a pointer of Git LFS', 'version https://git-lfs.example/spec/v1\n', /git lfs pull/],
    ['text', 'hello, world, hello', /not a file of torch\.save$/],
  ])('%s', async (_, content, message) => {
    expect((await refusal(Buffer.from(content))).message).toMatch(message);
  });

  test('a plain pickle', async () => {
    expect((await refusal(pickle(dict({ a: int(1) })))).message).toMatch(/a pickle of another program/);
  });

  test('gzip', async () => {
    expect((await refusal(Buffer.from([0x1f, 0x8b, 8, 0]))).message).toMatch(/compressed with gzip/);
  });
});

test.each([
  ['zip', archiveOf],
  ['older', legacyOf],
] as const)('a file with any bytes changed opens or is refused, never anything else (%s layout)', async (_, write) => {
  const whole = write(checkpoint);
  const changes = fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 });
  const path = newPath('any.pt');
  await fc.assert(
    fc.asyncProperty(changes, async (bytes) => {
      const damaged = Buffer.from(whole);
      for (const [at, value] of bytes) damaged[at] = value;
      writeFileSync(path, damaged);
      const error = await openWeightFile(path).catch((reason) => reason);
      if (error instanceof Error) expect(error).toBeInstanceOf(MalmenError);
      else expect(error.tensors.size).toBeGreaterThan(0);
    }),
    { numRuns: 60 },
  );
});
