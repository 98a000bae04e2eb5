// Writes a program as an ONNX model. Weights stay where they are: a checkpoint's tensor is named by file, offset and length.

import { create, toBinary } from '@bufbuild/protobuf';
import type { DType } from '../tensor.js';
import type { Dim, Shape } from './dim.js';
import { type Emitter, emitRules, type Name, type NodeAttributes } from './emit-rules.js';
import {
  type AttributeProto,
  AttributeProtoSchema,
  AttributeProto_AttributeType as AttributeType,
  ModelProtoSchema,
  type NodeProto,
  NodeProtoSchema,
  type TensorProto,
  TensorProto_DataLocation,
  TensorProtoSchema,
  type ValueInfoProto,
  ValueInfoProtoSchema,
} from './onnx_pb.js';
import type { Value, ValueOf } from './ops.js';
import type { Program } from './program.js';

/** Where a frozen weight lies: `location` is a file name inside the folder that the session is given. */
export interface ExternalWeight {
  readonly dtype: 'f32' | 'f16' | 'bf16';
  readonly location: string;
  readonly offset: number;
  readonly bytes: number;
}

/** How a parameter reaches the program: fed in every run, or mapped from a file. */
export type WeightSource = (parameter: string) => 'fed' | ExternalWeight;

export interface EmittedProgram {
  readonly model: Uint8Array;
  /** Sizes that must be fed besides the program's inputs, as int64 [1] under the name of {@link dimInput}. */
  readonly dims: readonly Dim[];
}

const irVersion = 10n;
const opsetVersion = 21n;
const elementType = { f32: 1, i64: 7, f16: 10, bf16: 16 } as const;

/** Name of the input that carries the value of a symbolic size. */
export const dimInput = (dim: Dim): Name => `dim:${dim}`;

/** Names of inputs inside the emitted graph: parameters and inputs may share a name, so parameters are marked. */
export const parameterInput = (name: string): Name => `@${name}`;

/** Name of an output inside the emitted graph: an output may be called like an input. */
export const outputName = (name: string): Name => `=${name}`;

/** @throws TypeError for a program without outputs, which the runtime cannot open. */
export function emitProgram(program: Program, source: WeightSource): EmittedProgram {
  if (program.outputs.size === 0) throw new TypeError('a program without outputs computes nothing: do not compile it');
  const writer = new Writer(source);
  for (const value of program.order) writer.write(value);
  for (const [name, value] of program.outputs) writer.output(name, value);
  return { model: writer.serialize(), dims: [...writer.dims] };
}

class Writer implements Emitter {
  readonly dims = new Set<Dim>();
  readonly #source: WeightSource;
  readonly #names = new Map<Value, Name>();
  /** Mapped 16-bit weights: their names are those of the stored bits. */
  readonly #stored = new Set<Value>();
  readonly #written = new Map<string, readonly Name[]>();
  readonly #nodes: NodeProto[] = [];
  readonly #initializers: TensorProto[] = [];
  readonly #inputs: ValueInfoProto[] = [];
  readonly #outputs: ValueInfoProto[] = [];

  constructor(source: WeightSource) {
    this.#source = source;
  }

  write(value: Value): void {
    this.#names.set(value, this.#emit(value));
  }

  #emit(value: Value): Name {
    switch (value.op) {
      case 'input':
        return this.#input(value.attributes.name, value.dtype, value.shape);
      case 'parameter':
        return this.#parameter(value);
      case 'constant':
        return this.number(value.attributes.value);
      default: {
        if (value.op === 'gatherRows' && this.#stored.has(value.inputs[0]!)) return this.#gatherStored(value);
        const rule = emitRules[value.op] as (e: Emitter, inputs: readonly Name[], value: Value) => Name;
        return rule(
          this,
          value.inputs.map((operand) => this.#operand(operand)),
          value,
        );
      }
    }
  }

  /** A 16-bit weight is cast where it is first used. */
  #operand(value: Value): Name {
    const name = this.#names.get(value)!;
    return this.#stored.has(value) ? this.#cast(name) : name;
  }

  #cast(name: Name): Name {
    return this.nodes('Cast', [name], { to: elementType.f32 })[0]!;
  }

  /** Rows of a 16-bit table: gathered as they are stored, so that only those that are read are cast. */
  #gatherStored({ inputs: [table, indices] }: Value): Name {
    const names = [this.#names.get(table!)!, this.#operand(indices!)];
    return this.#cast(this.nodes('Gather', names, { axis: 0 })[0]!);
  }

  output(name: string, value: Value): void {
    // An output may be another value's name (an input, or two outputs of one value): Identity gives it its own.
    this.#nodes.push(
      create(NodeProtoSchema, { opType: 'Identity', input: [this.#operand(value)], output: [outputName(name)] }),
    );
    this.#outputs.push(valueInfo(outputName(name), value.dtype, value.shape));
  }

  nodes(opType: string, input: readonly Name[], attributes: NodeAttributes = {}, outputs = 1): readonly Name[] {
    return this.#once(`${opType}(${input.join()})${JSON.stringify(attributes)}`, () => {
      const output = Array.from({ length: outputs }, (_, index) => `n${this.#nodes.length}.${index}`);
      const attribute = Object.entries(attributes).map(([name, value]) => attributeProto(name, value));
      this.#nodes.push(create(NodeProtoSchema, { opType, input: [...input], output, attribute }));
      return output;
    });
  }

  number(value: number): Name {
    return this.#constant('f32', [], new Uint8Array(Float32Array.of(value).buffer), `${value}`);
  }

  numbers(values: readonly number[]): Name {
    return this.#constant('f32', [values.length], new Uint8Array(Float32Array.from(values).buffer), `[${values}]`);
  }

  integers(values: readonly number[]): Name {
    return this.#constant(
      'i64',
      [values.length],
      new Uint8Array(BigInt64Array.from(values, BigInt).buffer),
      `[${values}]`,
    );
  }

  shape(shape: Shape): Name {
    if (shape.every((dim) => typeof dim === 'number')) return this.integers(shape as readonly number[]);
    const parts = shape.map((dim) => (typeof dim === 'number' ? this.integers([dim]) : this.#dim(dim)));
    return parts.length === 1 ? parts[0]! : this.nodes('Concat', parts, { axis: 0 })[0]!;
  }

  serialize(): Uint8Array {
    const graph = {
      name: 'malmen',
      node: this.#nodes,
      initializer: this.#initializers,
      input: this.#inputs,
      output: this.#outputs,
    };
    const opsetImport = [{ domain: '', version: opsetVersion }];
    return toBinary(
      ModelProtoSchema,
      create(ModelProtoSchema, { irVersion, producerName: 'malmen', opsetImport, graph }),
    );
  }

  #once(key: string, make: () => readonly Name[]): readonly Name[] {
    const known = this.#written.get(key) ?? make();
    this.#written.set(key, known);
    return known;
  }

  #input(name: Name, dtype: DType, shape: Shape): Name {
    this.#inputs.push(valueInfo(name, dtype, shape));
    return name;
  }

  #dim(dim: Dim): Name {
    return this.#once(dimInput(dim), () => {
      this.dims.add(dim);
      return [this.#input(dimInput(dim), 'i64', [1])];
    })[0]!;
  }

  #constant(dtype: DType, dims: readonly number[], rawData: Uint8Array, key: string): Name {
    return this.#once(`${dtype}:${key}`, () => {
      const name = `c${this.#initializers.length}`;
      const type = elementType[dtype];
      this.#initializers.push(create(TensorProtoSchema, { name, dataType: type, dims: dims.map(BigInt), rawData }));
      return [name];
    })[0]!;
  }

  #parameter(value: ValueOf<'parameter'> & Value): Name {
    const { name: parameter, shape } = value.attributes;
    const name = parameterInput(parameter);
    const source = this.#source(parameter);
    if (source === 'fed') return this.#input(name, 'f32', shape);
    this.#initializers.push(externalTensor(name, shape, source));
    if (source.dtype !== 'f32') this.#stored.add(value);
    return name;
  }
}

function externalTensor(name: Name, shape: readonly number[], source: ExternalWeight): TensorProto {
  const { location, offset, bytes } = source;
  const entries = { location, offset: String(offset), length: String(bytes) };
  return create(TensorProtoSchema, {
    name,
    dims: shape.map(BigInt),
    dataType: elementType[source.dtype],
    dataLocation: TensorProto_DataLocation.EXTERNAL,
    externalData: Object.entries(entries).map(([key, value]) => ({ key, value })),
  });
}

function valueInfo(name: Name, dtype: DType, shape: Shape): ValueInfoProto {
  const dim = shape.map((size) =>
    typeof size === 'number'
      ? { value: { case: 'dimValue' as const, value: BigInt(size) } }
      : { value: { case: 'dimParam' as const, value: size } },
  );
  const tensorType = { elemType: elementType[dtype], shape: { dim } };
  return create(ValueInfoProtoSchema, { name, type: { value: { case: 'tensorType', value: tensorType } } });
}

function attributeProto(name: string, value: NodeAttributes[string]): AttributeProto {
  if (typeof value === 'number')
    return create(AttributeProtoSchema, { name, type: AttributeType.INT, i: BigInt(value) });
  if (typeof value === 'string') {
    return create(AttributeProtoSchema, { name, type: AttributeType.STRING, s: new TextEncoder().encode(value) });
  }
  if ('float' in value) return create(AttributeProtoSchema, { name, type: AttributeType.FLOAT, f: value.float });
  return create(AttributeProtoSchema, { name, type: AttributeType.INTS, ints: value.map(BigInt) });
}
