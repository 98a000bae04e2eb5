// A pickle machine that can build plain data and nothing else: it runs no code, and what it may call is a list that it is
// given. Knows the pickle format (protocols 1 to 5), not what torch stores in it.

import { MalmenError } from '../../errors.js';
import { PickleReader } from './pickle-reader.js';

/** What a pickle may mean here. Lists are arrays, tuples frozen arrays, dictionaries maps. */
export type PickleValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | PickleObject
  | PickleGlobal
  | readonly PickleValue[]
  | PickleDict;

export type PickleDict = Map<string | number, PickleValue>;

/** Something that a {@link PickleGlobal} or a persistent id stands for; its users know its class. */
export abstract class PickleObject {
  abstract readonly kind: string;
}

/** A name on the list of what a pickle may refer to. */
export interface PickleGlobal {
  readonly name: string;
  /** What a call makes; absent where the name only stands for itself. @throws Error with the reason it cannot. */
  readonly call?: (args: readonly PickleValue[]) => PickleValue;
}

export interface UnpickleOptions {
  /** For messages: the file, and what in it. */
  readonly where: string;
  /** By module and name with a dot between. */
  readonly globals: ReadonlyMap<string, PickleGlobal>;
  /** What a persistent id stands for. @throws Error with the reason it stands for nothing. */
  readonly persistent: (id: PickleValue) => PickleValue;
}

/** More nesting or longer stacks than any checkpoint has. */
const maxStack = 10_000_000;

/**
 * Reads one pickle from the start of `bytes`.
 * @returns the value, and the position after its STOP
 * @throws MalmenError for names that are not on the list, operations that build no plain data, and damage
 * @throws PickleTruncated when the bytes end before the pickle does
 */
export function unpickle(bytes: Uint8Array, options: UnpickleOptions): { value: PickleValue; end: number } {
  const reader = new PickleReader(bytes, options.where);
  return { value: new Machine(reader, options).run(), end: reader.position };
}

const isMap = (value: unknown): value is PickleDict => value instanceof Map;

const isList = (value: unknown): value is PickleValue[] => Array.isArray(value) && !Object.isFrozen(value);

const isTuple = (value: unknown): value is readonly PickleValue[] => Array.isArray(value) && Object.isFrozen(value);

const isGlobal = (value: unknown): value is PickleGlobal =>
  typeof value === 'object' && value !== null && 'name' in value && !(value instanceof PickleObject);

class Machine {
  readonly #reader: PickleReader;
  readonly #options: UnpickleOptions;
  readonly #memo = new Map<number, PickleValue>();
  #stack: PickleValue[] = [];
  readonly #marks: PickleValue[][] = [];

  constructor(reader: PickleReader, options: UnpickleOptions) {
    this.#reader = reader;
    this.#options = options;
  }

  run(): PickleValue {
    for (;;) {
      const code = this.#reader.byte();
      if (code === stop) return this.#pop();
      const operation = operations[code];
      if (!operation) throw this.#refuse(this.#reader.position - 1, operationText(code));
      operation(this.#steps, this.#reader);
      if (this.#stack.length > maxStack) throw this.#reader.damaged('a stack of more values than any checkpoint has');
    }
  }

  readonly #steps: Steps = {
    push: (value) => {
      this.#stack.push(value);
    },
    mark: () => {
      this.#marks.push(this.#stack);
      this.#stack = [];
    },
    tuple: (items) => {
      // Going back to a mark changes the stack, so the items are taken first.
      const taken = items === undefined ? this.#popMark() : this.#popMany(items);
      this.#stack.push(Object.freeze(taken));
    },
    setItems: (marked) => {
      const items = marked ? this.#popMark() : this.#popMany(2);
      const dict = this.#top();
      if (!isMap(dict) || items.length % 2 !== 0) throw this.#reader.damaged('items are set where no dictionary is');
      for (let at = 0; at < items.length; at += 2) dict.set(this.#key(items[at]!), items[at + 1]!);
    },
    append: (marked) => {
      const items = marked ? this.#popMark() : this.#popMany(1);
      const list = this.#top();
      if (!isList(list)) throw this.#reader.damaged('values are appended where no list is');
      for (const item of items) list.push(item);
    },
    put: (index) => {
      this.#memo.set(index ?? this.#memo.size, this.#top());
    },
    get: (index) => {
      const value = this.#memo.get(index);
      if (value === undefined) throw this.#reader.damaged(`refers to value ${index}, which it has not stored`);
      this.#stack.push(value);
    },
    global: (module, name) => {
      this.#stack.push(this.#global(module ?? '', name ?? ''));
    },
    stackGlobal: () => {
      const [module, name] = this.#popMany(2);
      if (typeof module !== 'string' || typeof name !== 'string') throw this.#reader.damaged('a name is no text');
      this.#stack.push(this.#global(module, name));
    },
    persistent: () => {
      const id = this.#pop();
      this.#stack.push(this.#attempt(() => this.#options.persistent(id)));
    },
    reduce: () => {
      const [callable, args] = this.#popMany(2);
      if (!isGlobal(callable) || !callable.call || !isTuple(args)) {
        throw this.#refuse(this.#reader.position - 1, 'a call of something that is no known function');
      }
      this.#stack.push(this.#attempt(() => callable.call!(args)));
    },
    build: () => {
      const state = this.#pop();
      // An OrderedDict of a state_dict carries version numbers as attributes; nothing else has a state to be set.
      if (!isMap(state) || !isMap(this.#top())) {
        throw this.#refuse(this.#reader.position - 1, 'setting the attributes of an object');
      }
    },
  };

  #global(module: string, name: string): PickleGlobal {
    const full = `${module}.${name}`;
    const known = this.#options.globals.get(full);
    if (known) return known;
    throw this.#refuse(this.#reader.position, `'${full}'`);
  }

  #key(value: PickleValue): string | number {
    if (typeof value === 'string' || typeof value === 'number') return value;
    throw this.#reader.damaged('a dictionary has a key that is neither text nor a number');
  }

  #attempt(make: () => PickleValue): PickleValue {
    try {
      return make();
    } catch (error) {
      throw this.#reader.damaged((error as Error).message);
    }
  }

  #top(): PickleValue {
    const top = this.#stack.at(-1);
    if (top === undefined) throw this.#reader.damaged('uses a value that is not there');
    return top;
  }

  #pop(): PickleValue {
    const top = this.#top();
    this.#stack.pop();
    return top;
  }

  #popMany(count: number): PickleValue[] {
    if (this.#stack.length < count) throw this.#reader.damaged('uses values that are not there');
    return count === 0 ? [] : this.#stack.splice(-count);
  }

  #popMark(): PickleValue[] {
    const items = this.#stack;
    const below = this.#marks.pop();
    if (!below) throw this.#reader.damaged('goes back to a mark that is not there');
    this.#stack = below;
    return items;
  }

  #refuse(position: number, what: string): MalmenError {
    return new MalmenError(
      'unsupported',
      `${this.#options.where}: refused: the pickle asks for ${what} (byte ${position}), which tensors do not need; nothing of it was run. ` +
        'If you trust the file, save its tensors as safetensors with the program that made it',
    );
  }
}

/** What the operations do to the stack; counts and marks as the format has them. */
interface Steps {
  readonly push: (value: PickleValue) => void;
  readonly mark: () => void;
  /** Of so many values, or of all since the mark. */
  readonly tuple: (items?: number) => void;
  readonly setItems: (marked: boolean) => void;
  readonly append: (marked: boolean) => void;
  /** Without an index: the next one. */
  readonly put: (index?: number) => void;
  readonly get: (index: number) => void;
  readonly global: (module: string | undefined, name: string | undefined) => void;
  readonly stackGlobal: () => void;
  readonly persistent: () => void;
  readonly reduce: () => void;
  readonly build: () => void;
}

type Operation = (steps: Steps, reader: PickleReader) => void;

const stop = 0x2e;
const newestProtocol = 5;

/** All that is understood, by code; the names are those of Python's pickletools. */
const operations: Readonly<Record<number, Operation>> = {
  // PROTO
  128: (_, reader) => {
    const protocol = reader.byte();
    if (protocol > newestProtocol) throw reader.damaged(`pickle protocol ${protocol} is newer than ${newestProtocol}`);
  },
  // FRAME: a hint for buffering
  149: (_, reader) => void reader.uint64(),
  // NONE, NEWTRUE, NEWFALSE
  78: ({ push }) => push(null),
  136: ({ push }) => push(true),
  137: ({ push }) => push(false),
  // BININT, BININT1, BININT2, LONG1, LONG4, BINFLOAT
  74: ({ push }, reader) => push(reader.int32()),
  75: ({ push }, reader) => push(reader.byte()),
  77: ({ push }, reader) => push(reader.uint16()),
  138: ({ push }, reader) => push(reader.long(reader.byte())),
  139: ({ push }, reader) => push(reader.long(reader.int32())),
  71: ({ push }, reader) => push(reader.float64()),
  // BINUNICODE, SHORT_BINUNICODE, BINUNICODE8, BINSTRING, SHORT_BINSTRING (text of Python 2)
  88: ({ push }, reader) => push(reader.text(reader.uint32())),
  140: ({ push }, reader) => push(reader.text(reader.byte())),
  141: ({ push }, reader) => push(reader.text(reader.uint64())),
  84: ({ push }, reader) => push(reader.text(reader.int32())),
  85: ({ push }, reader) => push(reader.text(reader.byte())),
  // MARK, EMPTY_TUPLE, TUPLE, TUPLE1, TUPLE2, TUPLE3
  40: ({ mark }) => mark(),
  41: ({ tuple }) => tuple(0),
  116: ({ tuple }) => tuple(),
  133: ({ tuple }) => tuple(1),
  134: ({ tuple }) => tuple(2),
  135: ({ tuple }) => tuple(3),
  // EMPTY_LIST, APPEND, APPENDS
  93: ({ push }) => push([]),
  97: ({ append }) => append(false),
  101: ({ append }) => append(true),
  // EMPTY_DICT, SETITEM, SETITEMS
  125: ({ push }) => push(new Map()),
  115: ({ setItems }) => setItems(false),
  117: ({ setItems }) => setItems(true),
  // BINPUT, LONG_BINPUT, MEMOIZE, BINGET, LONG_BINGET
  113: ({ put }, reader) => put(reader.byte()),
  114: ({ put }, reader) => put(reader.uint32()),
  148: ({ put }) => put(),
  104: ({ get }, reader) => get(reader.byte()),
  106: ({ get }, reader) => get(reader.uint32()),
  // GLOBAL, STACK_GLOBAL, BINPERSID, REDUCE, BUILD
  99: ({ global }, reader) => global(reader.line(), reader.line()),
  147: ({ stackGlobal }) => stackGlobal(),
  81: ({ persistent }) => persistent(),
  82: ({ reduce }) => reduce(),
  98: ({ build }) => build(),
};

/** Operations that malicious or foreign pickles use, by the names that people know them by. */
const knownRefused: Readonly<Record<number, string>> = {
  105: 'INST',
  111: 'OBJ',
  129: 'NEWOBJ',
  146: 'NEWOBJ_EX',
  130: 'EXT1',
  131: 'EXT2',
  132: 'EXT4',
  80: 'PERSID',
  67: 'SHORT_BINBYTES',
  66: 'BINBYTES',
  150: 'BYTEARRAY8',
};

function operationText(code: number): string {
  const name = knownRefused[code];
  return `operation 0x${code.toString(16).padStart(2, '0')}${name === undefined ? '' : ` (${name})`}`;
}
