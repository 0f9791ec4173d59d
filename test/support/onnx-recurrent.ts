import { integers, type OnnxTensor, weights } from "./onnx.ts";
import { last, type OnnxCases, step } from "./onnx-cases.ts";

/** Weights that leave the gates away from their limits. */
const w = (shape: readonly number[], seed: number): OnnxTensor => {
  const { values } = weights(shape, seed);
  return { shape, values: Float32Array.from(values, (value) => 0.4 * value) };
};
const zeros = (shape: readonly number[]): OnnxTensor => ({
  shape,
  values: new Float32Array(w(shape, 1).values.length),
});

const sequence = { x: [1, 6, 5] } as const;
export const lstm: Readonly<Record<"w" | "r" | "b", OnnxTensor>> = {
  w: w([1, 16, 5], 1),
  r: w([1, 16, 4], 2),
  b: w([1, 32], 3),
};
const lstms = { w: w([2, 16, 5], 1), r: w([2, 16, 4], 2), b: w([2, 32], 3) };
const gru = { w: w([1, 12, 5], 4), r: w([1, 12, 4], 5), b: w([1, 24], 6) };
const grus = { w: w([2, 12, 5], 4), r: w([2, 12, 4], 5), b: w([2, 24], 6) };

/** Time first, as these operators want it; a model's input has its batch first. */
const turned = step("t", "Transpose", "x", { perm: [1, 0, 2] });
const size = { hidden_size: 4 } as const;
const both = { ...size, direction: "bidirectional" } as const;
const torch = { ...size, linear_before_reset: 1 } as const;

/** Recurrent layers, as exporters write them. */
// biome-ignore format: one row per case
export const recurrentCases: OnnxCases = {
  lstm: { nodes: [turned, last("LSTM", "t w r b", size)], inputs: sequence, tensors: lstm, ops: "dense recurrence" },
  "lstm without biases": { nodes: [turned, last("LSTM", "t w r", size)], inputs: sequence, tensors: { w: lstm.w, r: lstm.r }, ops: "dense recurrence" },
  "lstm, reverse": { nodes: [turned, last("LSTM", "t w r b", { ...size, direction: "reverse" })], inputs: sequence, tensors: lstm, ops: "dense recurrence" },
  "lstm, its last output": { nodes: [turned, { ...step("", "LSTM", "t w r b - h h", size), outputs: ["", "y"] }], inputs: sequence, tensors: { ...lstm, h: zeros([1, 1, 4]) }, ops: "dense recurrence slice" },
  "lstm, the last output of reverse": { nodes: [turned, { ...step("", "LSTM", "t w r b", { ...size, direction: "reverse" }), outputs: ["", "y"] }], inputs: sequence, tensors: lstm, ops: "dense recurrence slice" },
  "lstm, both directions": { nodes: [turned, step("l", "LSTM", "t w r b", both), step("q", "Transpose", "l", { perm: [0, 2, 1, 3] }), last("Reshape", "q k")], inputs: sequence, tensors: { ...lstms, k: integers(6, 1, -1) }, ops: "dense recurrence dense recurrence concat" },
  "lstm, the last outputs of both directions": { nodes: [turned, { ...step("", "LSTM", "t w r b", both), outputs: ["", "l"] }, step("f", "Transpose", "l", { perm: [1, 0, 2] }), last("Flatten", "f")], inputs: sequence, tensors: lstms, ops: "dense recurrence slice dense recurrence slice reshape reshape concat" },
  "two layers of lstm, then dense": { nodes: [turned, step("l", "LSTM", "t w r b", size), step("s", "Squeeze", "l k"), { ...step("", "LSTM", "s w2 r b", size), outputs: ["", "h"] }, step("f", "Squeeze", "h z"), last("Gemm", "f g")], inputs: sequence, tensors: { ...lstm, w2: w([1, 16, 4], 7), k: integers(1), z: integers(0), g: w([4, 3], 8) }, ops: "dense recurrence dense recurrence slice reshape dense" },
  gru: { nodes: [turned, last("GRU", "t w r b", torch)], inputs: sequence, tensors: gru, ops: "dense recurrence" },
  "gru, reverse": { nodes: [turned, last("GRU", "t w r b", { ...torch, direction: "reverse" })], inputs: sequence, tensors: gru, ops: "dense recurrence" },
  "gru, both directions": { nodes: [turned, step("l", "GRU", "t w r b - h", { ...torch, ...both }), step("q", "Transpose", "l", { perm: [0, 2, 1, 3] }), last("Reshape", "q k")], inputs: sequence, tensors: { ...grus, h: zeros([2, 1, 4]), k: integers(6, 1, -1) }, ops: "dense recurrence dense recurrence concat" },
  "lstm, the last output as PyTorch takes it": { nodes: [turned, step("l", "LSTM", "t w r b", size), step("s", "Squeeze", "l k"), step("q", "Transpose", "s", { perm: [1, 0, 2] }), last("Gather", "q i", { axis: 1 })], inputs: sequence, tensors: { ...lstm, k: integers(1), i: { shape: [], values: [-1] } }, ops: "dense recurrence slice reshape" },
  "a slice of two axes": { nodes: [last("Slice", "x f t a")], inputs: sequence, tensors: { f: integers(1, -4), t: integers(3, -1), a: integers(1, 2) }, ops: "slice slice" },
  "a slice before opset 10": { opset: 9, nodes: [last("Slice", "x", { starts: [0, 2], ends: [1, 1000] })], inputs: sequence, ops: "slice" },
};
