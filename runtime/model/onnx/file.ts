import { Failure } from "../../base/failure.ts";
import { sizeOf } from "../../tensor/tensor.ts";
import { rowOf, type SourceNode } from "../builder/call.ts";
import { type Constant, checkSize, floats, integers } from "../builder/constant.ts";
import type { DeclaredInput } from "../builder/input.ts";
import { littleEndian } from "../builder/little-endian.ts";
import { Attributes } from "./attributes.ts";
import { Message } from "./message.ts";

/** Field numbers of onnx.proto (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto), as far as they are read. */
const MODEL = { graph: 7, operatorSets: 8 } as const;
const OPERATOR_SET = { domain: 1, version: 2 } as const;
const GRAPH = { nodes: 1, initializers: 5, inputs: 11, outputs: 12 } as const;
const NODE = { inputs: 1, outputs: 2, name: 3, operator: 4, attributes: 5, domain: 7 } as const;
const TENSOR = {
  dims: 1,
  type: 2,
  floats: 4,
  int32s: 5,
  int64s: 7,
  name: 8,
  raw: 9,
  doubles: 10,
  location: 14,
} as const;
const VALUE = { name: 1, type: 2 } as const;
const TYPE = { tensor: 1 } as const;
const TENSOR_TYPE = { element: 1, shape: 2 } as const;
const SHAPE = { dims: 1 } as const;
const DIM = { length: 1 } as const;

/** TensorProto.DataType. */
const typeNames = [
  ..."undefined float uint8 int8 uint16 int16 int32 int64 string bool float16 double".split(" "),
  ..."uint32 uint64 complex64 complex128 bfloat16".split(" "),
] as const;
const FLOAT = 1;

export interface OnnxNode extends SourceNode {
  readonly attributes: Attributes;
  /** Version of the operator set. */
  readonly opset: number;
}

export interface OnnxFile {
  readonly opset: number;
  readonly nodes: readonly OnnxNode[];
  readonly initializers: ReadonlyMap<string, Constant>;
  readonly inputs: readonly DeclaredInput[];
  readonly outputs: readonly string[];
}

/** The newest operator set whose operators the table (operators.ts) was written against. */
const OPSETS = { oldest: 7, newest: 25 } as const;

export function parseOnnx(bytes: Uint8Array): OnnxFile {
  const model = new Message(bytes);
  const graph = model.message(MODEL.graph);
  if (!graph) throw new Failure("import/malformed", "the ONNX file has no graph");
  const opset = opsetOf(model);
  const initializers = new Map(
    graph.messages(GRAPH.initializers).map((tensor) => {
      const name = tensor.text(TENSOR.name);
      return [name, tensorOf(tensor, name)];
    }),
  );
  return {
    opset,
    nodes: graph.messages(GRAPH.nodes).map((node) => nodeOf(node, opset)),
    initializers,
    inputs: graph.messages(GRAPH.inputs).map(describedValue),
    outputs: graph.messages(GRAPH.outputs).map((value) => value.text(VALUE.name)),
  };
}

function opsetOf(model: Message): number {
  const sets = model.messages(MODEL.operatorSets);
  const main = sets.find((set) => ["", "ai.onnx"].includes(set.text(OPERATOR_SET.domain)));
  if (!main) throw new Failure("import/malformed", "the ONNX file names no operator set");
  const version = main.integer(OPERATOR_SET.version);
  if (version >= OPSETS.oldest && version <= OPSETS.newest) return version;
  throw new Failure(
    "import/unsupported-version",
    `ONNX operator set ${version}; supported are ${OPSETS.oldest} to ${OPSETS.newest}. Export the model again`,
  );
}

function nodeOf(node: Message, opset: number): OnnxNode {
  const outputs = node.texts(NODE.outputs);
  const output = outputs.find((name) => name !== "");
  if (!output) throw new Failure("import/malformed", `node ${node.text(NODE.name)} has no output`);
  const domain = node.text(NODE.domain);
  const operator = node.text(NODE.operator);
  return {
    name: node.text(NODE.name) || output,
    operator: ["", "ai.onnx"].includes(domain) ? operator : `${domain}.${operator}`,
    inputs: node.texts(NODE.inputs).map((name) => name || undefined),
    outputs,
    attributes: new Attributes(node.messages(NODE.attributes), tensorOf),
    opset,
  };
}

function describedValue(value: Message): DeclaredInput {
  const tensor = value.message(VALUE.type)?.message(TYPE.tensor);
  const dims = tensor?.message(TENSOR_TYPE.shape)?.messages(SHAPE.dims);
  return {
    name: value.text(VALUE.name),
    type: typeName(tensor?.integer(TENSOR_TYPE.element) ?? 0),
    shape: dims?.map((dim) => (dim.has(DIM.length) ? dim.integer(DIM.length) : -1)),
  };
}

function typeName(type: number): string {
  return typeNames[type] ?? `type ${type}`;
}

/** A tensor stored in the file. */
export function tensorOf(tensor: Message, name: string): Constant {
  const shape = tensor.integers(TENSOR.dims);
  if (shape.some((length) => length !== 0)) checkSize(shape.map((length) => length || 1));
  if (tensor.integer(TENSOR.location) !== 0) {
    throw new Failure("import/unsupported-attribute", `${name} is stored in another file; save the model as one file`);
  }
  const type = tensor.integer(TENSOR.type);
  const values = type === FLOAT ? floatsOf(tensor) : integersOf(tensor, type, name);
  if (values.length !== sizeOf(shape)) {
    throw new Failure("import/malformed", `${name} has ${values.length} values for shape [${shape.join(", ")}]`);
  }
  return values instanceof Float32Array ? floats(values, shape) : integers(values, shape);
}

function floatsOf(tensor: Message): Float32Array {
  const raw = tensor.bytes(TENSOR.raw);
  return raw ? littleEndian(raw, Float32Array) : tensor.floats(TENSOR.floats);
}

const rawIntegers: Readonly<Record<string, (raw: Uint8Array) => ArrayLike<number>>> = {
  int32: (raw) => littleEndian(raw, Int32Array),
  int64: (raw) => Array.from(littleEndian(raw, BigInt64Array), Number),
  bool: (raw) => raw,
};

function integersOf(tensor: Message, type: number, name: string): ArrayLike<number> {
  const read = rowOf(rawIntegers, typeName(type));
  if (!read) {
    throw new Failure(
      "import/unsupported-type",
      `${name} is ${typeName(type)}; supported are float weights and int32, int64 or bool shapes. Import the float model`,
    );
  }
  const raw = tensor.bytes(TENSOR.raw);
  if (raw) return read(raw);
  return tensor.integers(typeName(type) === "int64" ? TENSOR.int64s : TENSOR.int32s);
}
