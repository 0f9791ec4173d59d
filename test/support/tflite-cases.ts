import type { OnnxTensor } from "./onnx.ts";
import { weights as w } from "./onnx.ts";
import { fill } from "./onnx-cases.ts";
import { lstm } from "./onnx-recurrent.ts";
import type { TfliteOperatorSpec, TfliteOptions, TfliteSpec, TfliteTensorSpec } from "./tflite.ts";

/** A small TFLite model that computes what an ONNX case computes, or a function of each input by itself. */
export interface TfliteCase extends TfliteSpec {
  readonly twin: string | ((x: number, i: number) => number);
  readonly ops: string;
}

/** BuiltinOperator. */
export const code = {
  ADD: 0,
  AVERAGE_POOL_2D: 1,
  CONCATENATION: 2,
  CONV_2D: 3,
  DEPTHWISE_CONV_2D: 4,
  DEQUANTIZE: 6,
  FULLY_CONNECTED: 9,
  LOGISTIC: 14,
  MAX_POOL_2D: 17,
  MUL: 18,
  RELU: 19,
  RELU_N1_TO_1: 20,
  RELU6: 21,
  RESHAPE: 22,
  SOFTMAX: 25,
  TANH: 28,
  PAD: 34,
  TRANSPOSE: 39,
  MEAN: 40,
  SUB: 41,
  DIV: 42,
  SQUEEZE: 43,
  UNIDIRECTIONAL_SEQUENCE_LSTM: 44,
  STRIDED_SLICE: 45,
  MAXIMUM: 55,
  MINIMUM: 57,
  PADV2: 60,
  EXPAND_DIMS: 70,
  SHAPE: 77,
  PACK: 83,
  LEAKY_RELU: 98,
  HARD_SWISH: 117,
} as const;

const at = (output: string, op: keyof typeof code, inputs: string, options?: TfliteOptions): TfliteOperatorSpec => ({
  code: code[op],
  inputs: inputs.split(" ").map((name) => (name === "-" ? "" : name)),
  output,
  ...(options ? { options } : {}),
});

const list = (...values: number[]): TfliteTensorSpec => ({ shape: [values.length], values });
const number = (value: number): TfliteTensorSpec => ({ shape: [], values: [value] });
const value = (shape: readonly number[] = []): TfliteTensorSpec => ({ shape });
const image = { x: value([1, 6, 5, 3]) };
const vector = { x: value([1, 12]) };

/** An ONNX filter [outputs, inputs, y, x] in another order of its axes. */
function ordered({ shape, values }: OnnxTensor, order: readonly number[]): TfliteTensorSpec {
  const strides = shape.map((_, axis) => shape.slice(axis + 1).reduce((product, length) => product * length, 1));
  let places = [0];
  for (const axis of order) {
    places = places.flatMap((place) => Array.from({ length: shape[axis] }, (_, i) => place + i * strides[axis]));
  }
  return { shape: order.map((axis) => shape[axis]), values: Float32Array.from(places, (place) => values[place]) };
}
const conv = (shape: number[], seed = 1): TfliteTensorSpec => ordered(w(shape, seed), [0, 2, 3, 1]);
const depthwise = (shape: number[]): TfliteTensorSpec => ordered(w(shape), [1, 2, 3, 0]);
const dense = (shape: number[], seed = 1): TfliteTensorSpec => ordered(w(shape, seed), [1, 0]);

/** Option fields by operator: padding (0 SAME, 1 VALID), stride width and height, activation. */
const VALID = { u8: 1 };
const step = (width: number, height = width): TfliteOptions => ({ 1: { i32: width }, 2: { i32: height } });
const keep = { 0: { u8: 1 } };

/** Rows of gate `gate` of the ONNX lstm (i, o, f, g), which has one matrix or list for all. */
function ofGate({ shape, values }: OnnxTensor, gate: number): TfliteTensorSpec {
  const length = values.length / 4;
  const own = Float32Array.from(values).slice(gate * length, (gate + 1) * length);
  return { shape: shape.length === 3 ? [shape[1] / 4, shape[2]] : [length], values: own };
}
const [inputBias, stateBias] = [0, 16].map((from) => Float32Array.from(lstm.b.values).slice(from, from + 16));
const lstmBias: OnnxTensor = { shape: [16], values: inputBias.map((value, i) => value + stateBias[i]) };
/** In the file the gates come as i, f, g, o. */
const lstmTensors = Object.fromEntries(
  ["i", "f", "g", "o"].flatMap((name, at) => {
    const gate = [0, 2, 3, 1][at];
    return [
      [`w${name}`, ofGate(lstm.w, gate)],
      [`r${name}`, ofGate(lstm.r, gate)],
      [`b${name}`, ofGate(lstmBias, gate)],
    ];
  }),
);
const state: TfliteTensorSpec = { shape: [1, 4], variable: true };
const lstmInputs = "wi wf wg wo ri rf rg ro - - - bi bf bg bo - - h c - - - -";
const lstmOptions = { 0: { u8: 4 } };

// biome-ignore format: one row per case
export const tfliteCases: Readonly<Record<string, TfliteCase>> = {
  "conv, same": { twin: "conv same upper", operators: [at("y", "CONV_2D", "x w", step(2))], tensors: { ...image, w: conv([2, 3, 3, 2]), y: value() }, ops: "conv2d" },
  "conv, valid": { twin: "conv valid", operators: [at("y", "CONV_2D", "x w -", { 0: VALID, ...step(1) })], tensors: { ...image, w: conv([2, 3, 3, 3]), y: value() }, ops: "conv2d" },
  "conv in two groups": { twin: "conv in two groups", operators: [at("y", "CONV_2D", "x w", { 0: VALID, ...step(1) })], tensors: { x: value([1, 3, 3, 4]), w: conv([6, 2, 2, 2]), y: value() }, ops: "conv2d" },
  "padded, dilated conv": { twin: "conv dilated", operators: [at("p", "PAD", "x k"), at("y", "CONV_2D", "p w", { 0: VALID, ...step(1), 4: { i32: 1 }, 5: { i32: 2 } })], tensors: { ...image, k: { shape: [4, 2], values: [0, 0, 1, 1, 1, 1, 0, 0] }, w: conv([2, 3, 3, 2]), p: value(), y: value() }, ops: "conv2d" },
  "depthwise": { twin: "conv depthwise", operators: [at("y", "DEPTHWISE_CONV_2D", "x w b", { ...step(1), 3: { i32: 1 } })], tensors: { ...image, w: depthwise([3, 1, 3, 3]), b: w([3], 2), y: value() }, ops: "depthwise" },
  "depthwise, multiplier 2": { twin: "conv depthwise, multiplier 2", operators: [at("y", "DEPTHWISE_CONV_2D", "x w", { 0: VALID, ...step(1), 3: { i32: 2 } })], tensors: { ...image, w: depthwise([6, 1, 2, 2]), y: value() }, ops: "conv2d" },
  "depthwise of one channel": { twin: "conv depthwise of one channel", operators: [at("y", "DEPTHWISE_CONV_2D", "x w", { 0: VALID, ...step(1), 3: { i32: 5 } })], tensors: { x: value([1, 4, 3, 1]), w: depthwise([5, 1, 2, 2]), y: value() }, ops: "conv2d" },
  "fully connected": { twin: "gemm transposed, one bias", operators: [at("y", "FULLY_CONNECTED", "x w b", {})], tensors: { ...vector, w: w([4, 12]), b: fill([4], w([1], 2).values[0]), y: value() }, ops: "dense" },
  "fully connected on rows": { twin: "matmul on rows, then bias", operators: [at("y", "FULLY_CONNECTED", "x w b", { 2: { u8: 1 } })], tensors: { x: { shape: [1, 3, 4], signature: [-1, 3, 4] }, w: dense([4, 5]), b: w([5], 2), y: value() }, ops: "dense" },
  "reshape as Keras writes it": { twin: "gemm transposed, one bias", operators: [at("s", "SHAPE", "x"), at("n", "STRIDED_SLICE", "s k0 k1 k1", { 4: { i32: 1 } }), at("t", "PACK", "n k12"), at("r", "RESHAPE", "x t"), at("y", "FULLY_CONNECTED", "r w b", {})], tensors: { ...vector, k0: list(0), k1: list(1), k12: number(12), w: w([4, 12]), b: fill([4], w([1], 2).values[0]), s: value(), n: value(), t: value(), r: value(), y: value() }, ops: "dense" },
  "relu": { twin: "relu", operators: [at("y", "RELU", "x")], tensors: { ...vector, y: value() }, ops: "activation" },
  "relu6": { twin: (x) => Math.min(Math.max(2 * x, 0), 6), operators: [at("m", "MUL", "x k"), at("y", "RELU6", "m")], tensors: { ...vector, k: fill([], 2), m: value(), y: value() }, ops: "reshape depthwise reshape" },
  "relu from -1 to 1": { twin: (x) => Math.min(Math.max(x, -1), 1), operators: [at("y", "RELU_N1_TO_1", "x")], tensors: { ...vector, y: value() }, ops: "activation" },
  "relu6 of minimum and maximum": { twin: (x) => Math.min(Math.max(x, 0), 6), operators: [at("m", "MAXIMUM", "x lo"), at("y", "MINIMUM", "m hi")], tensors: { ...vector, lo: fill([], 0), hi: fill([1], 6), m: value(), y: value() }, ops: "activation" },
  "logistic": { twin: "sigmoid", operators: [at("y", "LOGISTIC", "x")], tensors: { ...vector, y: value() }, ops: "activation" },
  "tanh": { twin: "tanh", operators: [at("y", "TANH", "x")], tensors: { ...vector, y: value() }, ops: "activation" },
  "fused tanh": { twin: (x) => Math.tanh(x + 0.5), operators: [at("y", "ADD", "x k", { 0: { u8: 4 } })], tensors: { ...vector, k: fill([1], 0.5), y: value() }, ops: "reshape depthwise activation reshape" },
  "hard swish": { twin: "hard swish", operators: [at("y", "HARD_SWISH", "x")], tensors: { ...vector, y: value() }, ops: "activation" },
  "leaky relu": { twin: "leaky relu", operators: [at("y", "LEAKY_RELU", "x", { 0: { f32: 0.2 } })], tensors: { ...vector, y: value() }, ops: "activation" },
  "softmax": { twin: "softmax of rows", operators: [at("y", "SOFTMAX", "x", { 0: { f32: 1 } })], tensors: { x: value([1, 3, 4]), y: value() }, ops: "softmax" },
  "add of two branches, relu": { twin: "add of two branches", operators: [at("a", "CONV_2D", "x w", step(1)), at("b", "CONV_2D", "x v", step(1)), at("y", "ADD", "a b", { 0: { u8: 1 } })], tensors: { ...image, w: conv([4, 3, 1, 1]), v: conv([4, 3, 1, 1], 2), a: value(), b: value(), y: value() }, ops: "conv2d conv2d add" },
  "scale and shift per channel": { twin: "scale and shift per channel", operators: [at("c", "CONV_2D", "x w", { 0: VALID, ...step(1) }), at("m", "MUL", "c s"), at("a", "ADD", "m t"), at("y", "SUB", "a k")], tensors: { ...image, w: conv([4, 3, 2, 2]), s: { ...w([4], 3), shape: [4] }, t: w([1, 1, 1, 4], 4), k: fill([], 0.25), c: value(), m: value(), a: value(), y: value() }, ops: "conv2d" },
  "scale of the input": { twin: "scale of the input", operators: [at("d", "DIV", "x s"), at("r", "SUB", "k d"), at("y", "CONV_2D", "r w", { 0: VALID, ...step(1) })], tensors: { ...image, w: conv([4, 3, 2, 2]), s: fill([1], 127.5), k: fill([], 1), d: value(), r: value(), y: value() }, ops: "depthwise conv2d" },
  "average pool": { twin: "average pool, same", operators: [at("y", "AVERAGE_POOL_2D", "x", { ...step(1), 3: { i32: 2 }, 4: { i32: 3 } })], tensors: { ...image, y: value() }, ops: "average-pool" },
  "pad with a value, max pool": { twin: "pad with a value", operators: [at("p", "PADV2", "x k c"), at("y", "MAX_POOL_2D", "p", { 0: VALID, ...step(1), 3: { i32: 2 }, 4: { i32: 2 } })], tensors: { ...image, k: { shape: [4, 2], values: [0, 0, 1, 2, 0, 1, 0, 0] }, c: fill([], 0.5), p: value(), y: value() }, ops: "pad max-pool" },
  "mean of height and width": { twin: "mean of height and width", operators: [at("c", "CONV_2D", "x w", { 0: VALID, ...step(1) }), at("y", "MEAN", "c k")], tensors: { ...image, w: conv([4, 3, 2, 2]), k: list(1, 2), c: value(), y: value() }, ops: "conv2d average-pool reshape" },
  "squeeze and expand": { twin: "squeeze and unsqueeze", operators: [at("m", "MEAN", "x k", keep), at("s", "SQUEEZE", "m", { 0: { i32s: [1, 2] } }), at("a", "EXPAND_DIMS", "s one"), at("b", "EXPAND_DIMS", "a one"), at("y", "CONV_2D", "b w", step(1))], tensors: { ...image, k: list(1, 2), one: number(1), w: conv([4, 3, 1, 1]), m: value(), s: value(), a: value(), b: value(), y: value() }, ops: "average-pool conv2d" },
  "transpose": { twin: "transpose", operators: [at("y", "TRANSPOSE", "x k")], tensors: { x: value([1, 3, 4]), k: list(0, 2, 1), y: value() }, ops: "reshape transpose reshape" },
  "concat of channels": { twin: "concat of channels", operators: [at("a", "CONV_2D", "x w", step(1)), at("b", "CONV_2D", "x v", step(1)), at("y", "CONCATENATION", "a b x", { 0: { i32: 3 } })], tensors: { ...image, w: conv([4, 3, 1, 1]), v: conv([2, 3, 1, 1], 2), a: value(), b: value(), y: value() }, ops: "conv2d conv2d concat" },
  "lstm": { twin: "lstm", operators: [at("y", "UNIDIRECTIONAL_SEQUENCE_LSTM", `x ${lstmInputs}`, lstmOptions)], tensors: { x: value([1, 6, 5]), ...lstmTensors, h: state, c: state, y: value() }, ops: "dense recurrence" },
  "lstm, time first": { twin: "lstm", operators: [at("t", "TRANSPOSE", "x k"), at("y", "UNIDIRECTIONAL_SEQUENCE_LSTM", `t ${lstmInputs}`, { ...lstmOptions, 3: { u8: 1 } })], tensors: { x: value([1, 6, 5]), k: list(1, 0, 2), ...lstmTensors, h: state, c: state, t: value(), y: value() }, ops: "dense recurrence" },
  "lstm, the last output as Keras takes it": { twin: "lstm, its last output", operators: [at("l", "UNIDIRECTIONAL_SEQUENCE_LSTM", `x ${lstmInputs}`, lstmOptions), at("y", "STRIDED_SLICE", "l k0 k1 k2", { 0: { i32: 5 }, 1: { i32: 5 }, 4: { i32: 2 } })], tensors: { x: value([1, 6, 5]), ...lstmTensors, h: state, c: state, k0: list(0, -1, 0), k1: list(0, 0, 0), k2: list(1, 1, 1), l: value(), y: value() }, ops: "dense recurrence slice reshape" },
  "half precision weights": { twin: (x, i) => x * [1.5, -2, 0.25, 2 ** -20][i % 4], operators: [at("k", "DEQUANTIZE", "h"), at("y", "MUL", "x k")], tensors: { ...vector, h: { shape: [12], type: 1, values: new Uint8Array(Uint16Array.from({ length: 12 }, (_, i) => [0x3e00, 0xc000, 0x3400, 0x0010][i % 4]).buffer) }, k: value(), y: value() }, ops: "reshape depthwise reshape" },
};
