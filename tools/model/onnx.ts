import { PbfWriter } from "pbf";

/**
 * Writes ONNX: what PyTorch exports, and operators of onnxruntime's own. Field numbers from onnx.proto3
 * (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto3), in comments beside them.
 */
export interface OnnxGraph {
  readonly name: string;
  readonly version: string;
  readonly input: OnnxValue;
  readonly output: OnnxValue;
  readonly nodes: readonly OnnxNode[];
  readonly initializers: readonly OnnxTensor[];
  readonly metadata: Readonly<Record<string, string>>;
}

export interface OnnxValue {
  readonly name: string;
  readonly shape: readonly number[];
}

export interface OnnxNode {
  readonly op: string;
  /** Of operators that ONNX does not define. */
  readonly domain?: "com.microsoft";
  readonly name: string;
  readonly inputs: readonly string[];
  readonly output: string;
  readonly attributes?: Readonly<Record<string, Attribute>>;
}

/** A list is integers; a number is an integer unless it is wrapped as `{ float }`. */
export type Attribute = number | readonly number[] | { readonly float: number };

export interface OnnxTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly data: Float32Array | Uint8Array;
}

const IR_VERSION = 7;
const OPSET = 13;
const MICROSOFT_OPSET = 1;
const FLOAT = 1;
const UINT8 = 2;

export function encodeOnnx(graph: OnnxGraph): Uint8Array {
  const pbf = new PbfWriter();
  pbf.writeVarintField(1, IR_VERSION); // ir_version
  pbf.writeStringField(2, "polaredge"); // producer_name
  pbf.writeStringField(3, graph.version); // producer_version
  pbf.writeMessage(7, writeGraph, graph); // graph
  pbf.writeMessage(8, writeOpset, { domain: "", version: OPSET }); // opset_import
  if (graph.nodes.some(({ domain }) => domain)) {
    pbf.writeMessage(8, writeOpset, { domain: "com.microsoft", version: MICROSOFT_OPSET });
  }
  for (const entry of Object.entries(graph.metadata)) pbf.writeMessage(14, writeProperty, entry); // metadata_props
  return pbf.finish().slice();
}

function writeGraph(graph: OnnxGraph, pbf: PbfWriter): void {
  for (const node of graph.nodes) pbf.writeMessage(1, writeNode, node); // node
  pbf.writeStringField(2, graph.name); // name
  for (const tensor of graph.initializers) pbf.writeMessage(5, writeTensor, tensor); // initializer
  pbf.writeMessage(11, writeValue, graph.input); // input
  pbf.writeMessage(12, writeValue, graph.output); // output
}

function writeNode(node: OnnxNode, pbf: PbfWriter): void {
  for (const input of node.inputs) pbf.writeStringField(1, input); // input
  pbf.writeStringField(2, node.output); // output
  pbf.writeStringField(3, node.name); // name
  pbf.writeStringField(4, node.op); // op_type
  for (const entry of Object.entries(node.attributes ?? {})) pbf.writeMessage(5, writeAttribute, entry); // attribute
  if (node.domain) pbf.writeStringField(7, node.domain); // domain
}

/** AttributeType: FLOAT 1, INT 2, INTS 7. */
function writeAttribute([name, value]: [string, Attribute], pbf: PbfWriter): void {
  pbf.writeStringField(1, name); // name
  if (typeof value === "number")
    pbf.writeVarintField(3, value); // i
  else if ("float" in value)
    pbf.writeFloatField(2, value.float); // f
  else for (const integer of value) pbf.writeVarintField(8, integer); // ints
  pbf.writeVarintField(20, typeof value === "number" ? 2 : "float" in value ? 1 : 7); // type
}

function writeTensor(tensor: OnnxTensor, pbf: PbfWriter): void {
  for (const length of tensor.shape) pbf.writeVarintField(1, length); // dims
  const { data } = tensor;
  pbf.writeVarintField(2, data instanceof Uint8Array ? UINT8 : FLOAT); // data_type
  pbf.writeStringField(8, tensor.name); // name
  pbf.writeBytesField(9, data instanceof Uint8Array ? data : littleEndian(data)); // raw_data
}

function littleEndian(values: Float32Array): Uint8Array {
  const bytes = new Uint8Array(4 * values.length);
  const view = new DataView(bytes.buffer);
  values.forEach((value, i) => {
    view.setFloat32(4 * i, value, true);
  });
  return bytes;
}

/** ValueInfoProto { name, type: TypeProto { tensor_type { elem_type, shape } } } */
function writeValue({ name, shape }: OnnxValue, pbf: PbfWriter): void {
  pbf.writeStringField(1, name);
  pbf.writeMessage(2, (_, type) => type.writeMessage(1, writeTensorType, shape), shape);
}

function writeTensorType(shape: readonly number[], pbf: PbfWriter): void {
  pbf.writeVarintField(1, FLOAT); // elem_type
  pbf.writeMessage(2, writeShape, shape); // shape
}

function writeShape(shape: readonly number[], pbf: PbfWriter): void {
  for (const length of shape) pbf.writeMessage(1, (value, dim) => dim.writeVarintField(1, value), length); // dim.dim_value
}

function writeOpset({ domain, version }: { domain: string; version: number }, pbf: PbfWriter): void {
  if (domain) pbf.writeStringField(1, domain); // domain
  pbf.writeVarintField(2, version); // version
}

function writeProperty([key, value]: [string, string], pbf: PbfWriter): void {
  pbf.writeStringField(1, key);
  pbf.writeStringField(2, value);
}
