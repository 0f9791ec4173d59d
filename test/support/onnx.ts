import { PbfWriter } from "pbf";
import { sizeOf } from "../../runtime/tensor/tensor.ts";

/** Just enough of an ONNX writer to make small models of any operator, and broken ones. */
export interface OnnxTensor {
  readonly shape: readonly number[];
  /** f32; for shapes and axes int64. */
  readonly values: Float32Array | readonly number[];
  /** TensorProto.DataType, if it shall be another one than the values say. */
  readonly type?: number;
}

/** A number is an INT, `real` a FLOAT, an array INTS, text a STRING, `texts` STRINGS, a tensor a TENSOR. */
export type OnnxAttribute =
  | number
  | { readonly real: number }
  | readonly number[]
  | string
  | { readonly texts: readonly string[] }
  | OnnxTensor;

export interface OnnxNodeSpec {
  readonly op: string;
  /** Empty: left out. */
  readonly inputs: readonly string[];
  readonly outputs?: readonly string[];
  readonly name?: string;
  readonly domain?: string;
  readonly attributes?: Readonly<Record<string, OnnxAttribute>>;
}

export interface OnnxSpec {
  readonly opset?: number;
  /** Text is a symbolic length. */
  readonly inputs?: Readonly<Record<string, readonly (number | string)[]>>;
  readonly inputType?: number;
  readonly outputs?: readonly string[];
  readonly nodes: readonly OnnxNodeSpec[];
  readonly tensors?: Readonly<Record<string, OnnxTensor>>;
}

const FLOAT = 1;
const INT64 = 7;

export function onnxModel(spec: OnnxSpec): Uint8Array {
  const { opset = 17, nodes, tensors = {}, inputs = { x: [1, 4] }, inputType = FLOAT, outputs = ["y"] } = spec;
  const model = new PbfWriter();
  model.writeVarintField(1, 8);
  model.writeMessage(
    7,
    (_, graph) => {
      for (const node of nodes) graph.writeMessage(1, writeNode, node);
      graph.writeStringField(2, "small");
      for (const [name, tensor] of Object.entries(tensors)) {
        graph.writeMessage(5, (_none, to) => writeTensor(tensor, to, name), undefined);
      }
      for (const [name, shape] of Object.entries(inputs)) {
        graph.writeMessage(11, (_none, to) => writeValue(to, name, shape, inputType), undefined);
      }
      for (const name of outputs)
        graph.writeMessage(12, (_none, to) => writeValue(to, name, undefined, FLOAT), undefined);
    },
    undefined,
  );
  model.writeMessage(8, (_, to) => to.writeVarintField(2, opset), undefined);
  return model.finish();
}

function writeNode(
  { op, inputs, outputs = ["y"], name = "", domain = "", attributes = {} }: OnnxNodeSpec,
  to: PbfWriter,
): void {
  for (const input of inputs) to.writeStringField(1, input);
  for (const output of outputs) to.writeStringField(2, output);
  to.writeStringField(3, name);
  to.writeStringField(4, op);
  for (const [key, value] of Object.entries(attributes)) {
    to.writeMessage(5, (_none, attribute) => writeAttribute(attribute, key, value), undefined);
  }
  to.writeStringField(7, domain);
}

/** AttributeProto.type: FLOAT 1, INT 2, STRING 3, TENSOR 4, INTS 7. */
function writeAttribute(to: PbfWriter, name: string, value: OnnxAttribute): void {
  to.writeStringField(1, name);
  if (typeof value === "number") {
    to.writeVarintField(3, value);
    to.writeVarintField(20, 2);
  } else if (typeof value === "string") {
    to.writeStringField(4, value);
    to.writeVarintField(20, 3);
  } else if ("real" in value) {
    to.writeFloatField(2, value.real);
    to.writeVarintField(20, 1);
  } else if ("texts" in value) {
    for (const text of value.texts) to.writeStringField(9, text);
    to.writeVarintField(20, 8);
  } else if ("shape" in value) {
    to.writeMessage(5, (tensor: OnnxTensor, inner) => writeTensor(tensor, inner, ""), value);
    to.writeVarintField(20, 4);
  } else {
    for (const integer of value) to.writeVarintField(8, integer);
    to.writeVarintField(20, 7);
  }
}

function writeTensor({ shape, values, type }: OnnxTensor, to: PbfWriter, name: string): void {
  for (const length of shape) to.writeVarintField(1, length);
  to.writeVarintField(2, type ?? (values instanceof Float32Array ? FLOAT : INT64));
  to.writeStringField(8, name);
  const raw = values instanceof Float32Array ? values : BigInt64Array.from(values, BigInt);
  to.writeBytesField(9, new Uint8Array(raw.buffer, raw.byteOffset, raw.byteLength));
}

function writeValue(to: PbfWriter, name: string, shape: readonly (number | string)[] | undefined, type: number): void {
  to.writeStringField(1, name);
  to.writeMessage(
    2,
    (_type, value) =>
      value.writeMessage(
        1,
        (_tensor, tensor) => {
          tensor.writeVarintField(1, type);
          if (shape) tensor.writeMessage(2, writeShape, shape);
        },
        undefined,
      ),
    undefined,
  );
}

function writeShape(shape: readonly (number | string)[], to: PbfWriter): void {
  for (const length of shape) {
    to.writeMessage(
      1,
      (_none, dim) => (typeof length === "number" ? dim.writeVarintField(1, length) : dim.writeStringField(2, length)),
      undefined,
    );
  }
}

/** Weights that are the same everywhere: small, of both signs, without a pattern that hides a wrong order. */
export function weights(shape: readonly number[], seed = 1): OnnxTensor {
  const values = Float32Array.from({ length: sizeOf(shape) }, (_, i) => Math.fround(Math.sin(seed * 37 + i * 1.7)));
  return { shape, values };
}

export function integers(...values: readonly number[]): OnnxTensor {
  return { shape: [values.length], values };
}
