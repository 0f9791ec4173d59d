import { Failure } from "../../base/failure.ts";
import { halfToFloat } from "../../base/half.ts";
import { type Shape, shapeText, sizeOf } from "../../tensor/tensor.ts";
import type { SourceNode } from "../builder/call.ts";
import { type Constant, checkSize, floats, integers } from "../builder/constant.ts";
import { littleEndian } from "../builder/little-endian.ts";
import { operatorName } from "./codes.ts";
import { readableName } from "./names.ts";
import { Table } from "./table.ts";

/** Field numbers of schema.fbs (see codes.ts), as far as they are read. */
const MODEL = { version: 0, codes: 1, graphs: 2, buffers: 4 } as const;
const CODE = { old: 0, custom: 1, code: 3 } as const;
const GRAPH = { tensors: 0, inputs: 1, outputs: 2, operators: 3 } as const;
const TENSOR = { shape: 0, type: 1, buffer: 2, name: 3, variable: 5, sparsity: 6, signature: 7 } as const;
const OPERATOR = { code: 0, inputs: 1, outputs: 2, options: 4 } as const;
const BUFFER = { data: 0, offset: 1 } as const;

/** TensorType. */
const typeNames =
  "float32 float16 int32 uint8 int64 string bool int16 complex64 int8 float64 complex128 uint64 resource".split(" ");

export interface TfliteNode extends SourceNode {
  /** Empty if the operator has none. */
  readonly options: Table | undefined;
}

export interface TfliteTensor {
  /** Unique in the file. */
  readonly id: string;
  readonly name: string;
  readonly type: string;
  /** -1 where the file leaves a length open. */
  readonly shape: Shape;
  readonly data: Uint8Array | undefined;
  /** Keeps its value from one inference to the next, and begins with zeros. */
  readonly variable: boolean;
}

export interface TfliteFile {
  readonly version: number;
  readonly nodes: readonly TfliteNode[];
  readonly tensors: ReadonlyMap<string, TfliteTensor>;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
}

const VERSION = 3;

export function parseTflite(bytes: Uint8Array): TfliteFile {
  const model = Table.root(bytes);
  const version = model.u32(MODEL.version);
  if (version !== VERSION) {
    throw new Failure("import/unsupported-version", `TFLite schema version ${version}; supported is ${VERSION}`);
  }
  const graphs = model.tables(MODEL.graphs);
  if (graphs.length !== 1) {
    throw new Failure(
      "import/unsupported-operator",
      `${graphs.length} subgraphs; a model with exactly one is supported`,
    );
  }
  const [graph] = graphs;
  const buffers = model.tables(MODEL.buffers);
  const tensors = graph.tables(GRAPH.tensors).map((tensor, i) => tensorOf(tensor, i, buffers));
  const idOf = (i: number): string => tensors[i]?.id ?? `tensor ${i}`;
  const codes = model.tables(MODEL.codes).map(codeName);
  return {
    version,
    nodes: graph.tables(GRAPH.operators).map((operator) => nodeOf(operator, codes, tensors)),
    tensors: new Map(tensors.map((tensor) => [tensor.id, tensor])),
    inputs: (graph.i32s(GRAPH.inputs) ?? []).map(idOf),
    outputs: (graph.i32s(GRAPH.outputs) ?? []).map(idOf),
  };
}

/** Codes above 127 did not fit the old field, which then holds 127. */
function codeName(code: Table): string {
  const custom = code.text(CODE.custom);
  return custom ? `custom operator ${custom}` : operatorName(Math.max(code.u8(CODE.old), code.i32(CODE.code)));
}

function nodeOf(operator: Table, codes: readonly string[], tensors: readonly TfliteTensor[]): TfliteNode {
  const inputs = operator.i32s(OPERATOR.inputs) ?? [];
  const [output] = operator.i32s(OPERATOR.outputs) ?? [];
  const tensor = tensors[output];
  const code = codes[operator.u32(OPERATOR.code)];
  if (!tensor || !code) throw new Failure("import/malformed", "damaged file: an operator without code or output");
  return {
    name: readableName(tensor.name) || tensor.id,
    operator: code,
    inputs: inputs.map((i) => (i < 0 ? undefined : (tensors[i]?.id ?? `tensor ${i}`))),
    outputs: [tensor.id],
    options: operator.table(OPERATOR.options),
  };
}

function tensorOf(tensor: Table, index: number, buffers: readonly Table[]): TfliteTensor {
  const name = tensor.text(TENSOR.name);
  const buffer = buffers[tensor.u32(TENSOR.buffer)];
  const data = buffer?.bytes(BUFFER.data);
  if (tensor.table(TENSOR.sparsity)) throw new Failure("import/unsupported-type", `tensor ${name} is sparse`);
  if (buffer && !data && buffer.u32(BUFFER.offset) > 1) {
    throw new Failure("import/unsupported-type", `tensor ${name} is stored outside the FlatBuffers part of the file`);
  }
  const type = tensor.u8(TENSOR.type);
  const shape = tensor.i32s(TENSOR.shape) ?? [];
  const signature = tensor.i32s(TENSOR.signature) ?? shape;
  return {
    id: `${index}:${name}`,
    name,
    type: typeNames[type] ?? `type ${type}`,
    shape: signature.length === shape.length ? signature : shape,
    data: data && data.length > 0 ? data : undefined,
    variable: tensor.u8(TENSOR.variable) === 1,
  };
}

const readers: Readonly<Record<string, (data: Uint8Array, shape: Shape) => Constant>> = {
  float32: (data, shape) => floats(littleEndian(data, Float32Array), shape),
  float16: (data, shape) => floats(Float32Array.from(littleEndian(data, Uint16Array), halfToFloat), shape),
  int32: (data, shape) => integers(littleEndian(data, Int32Array), shape),
  int64: (data, shape) => integers(Array.from(littleEndian(data, BigInt64Array), Number), shape),
};

/** The values of a tensor that is stored in the file, or the first ones of a variable. */
export function constantOf({ name, type, shape, data, variable }: TfliteTensor): Constant | undefined {
  if (!data) return variable ? zeros(shape) : undefined;
  const read = readers[type];
  if (!read) {
    throw new Failure(
      "import/unsupported-type",
      `tensor ${name} is ${type}; supported are float32 or float16 weights and int32 or int64 shapes. Import the float model`,
    );
  }
  const constant = read(data, shape);
  if (constant.values.length === sizeOf(shape)) return constant;
  throw new Failure("import/malformed", `tensor ${name} has ${constant.values.length} values for ${shapeText(shape)}`);
}

function zeros(shape: Shape): Constant {
  checkSize(shape);
  return floats(new Float32Array(sizeOf(shape)), shape);
}
