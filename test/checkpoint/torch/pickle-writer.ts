// Pickles written by hand, operation by operation, straight from the format's description. Each function gives the bytes that
// leave one value on the stack.

export const text = (value: string): Buffer => {
  const bytes = Buffer.from(value);
  return Buffer.concat([Buffer.from('X'), uint32(bytes.length), bytes]);
};

export const int = (value: number): Buffer => {
  const bytes = Buffer.alloc(5, 'J');
  bytes.writeInt32LE(value, 1);
  return bytes;
};

export const none = Buffer.from('N');
export const no = Buffer.from([0x89]);
export const yes = Buffer.from([0x88]);

export const tuple = (...items: Buffer[]): Buffer => Buffer.concat([Buffer.from('('), ...items, Buffer.from('t')]);

export const list = (...items: Buffer[]): Buffer => Buffer.concat([Buffer.from(']('), ...items, Buffer.from('e')]);

export const dict = (entries: Readonly<Record<string, Buffer>>): Buffer => {
  const items = Object.entries(entries).flatMap(([key, value]) => [text(key), value]);
  return Buffer.concat([Buffer.from('}('), ...items, Buffer.from('u')]);
};

export const global = (module: string, name: string): Buffer => Buffer.from(`c${module}\n${name}\n`);

export const call = (callable: Buffer, ...args: Buffer[]): Buffer =>
  Buffer.concat([callable, tuple(...args), Buffer.from('R')]);

export const persistent = (id: Buffer): Buffer => Buffer.concat([id, Buffer.from('Q')]);

/** A whole pickle of protocol 2. */
export const pickle = (value: Buffer): Buffer => Buffer.concat([Buffer.from([0x80, 2]), value, Buffer.from('.')]);

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}
