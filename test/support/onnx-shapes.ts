import { integers, weights as w } from "./onnx.ts";
import { image, last, type OnnxCases, real, scalar, step, vector } from "./onnx-cases.ts";

const flat = { w: w([4, 3, 2, 2]), v: w([80, 5], 2) };

/** Operators that only move values, and how exporters use them. */
// biome-ignore format: one row per case
export const shapeCases: OnnxCases = {
  "flatten and dense": { nodes: [step("c", "Conv", "x w"), step("f", "Flatten", "c"), last("Gemm", "f v")], inputs: image, tensors: flat, ops: "conv2d reshape dense" },
  "flatten at the end": { nodes: [step("c", "Conv", "x w"), last("Flatten", "c")], inputs: image, tensors: flat, ops: "conv2d transpose reshape" },
  "reshape as PyTorch writes it": {
    nodes: [step("c", "Conv", "x w"), step("s", "Shape", "c"), step("g", "Gather", "s zero"), step("u", "Unsqueeze", "g axes"), step("t", "Concat", "u rest", { axis: 0 }), step("r", "Reshape", "c t"), last("Gemm", "r v")],
    inputs: { x: ["n", 3, 6, 5] }, tensors: { ...flat, zero: { shape: [], values: [0] }, axes: integers(0), rest: integers(-1) }, ops: "conv2d reshape dense",
  },
  "reshape by shape arithmetic": {
    nodes: [step("s", "Shape", "x"), step("h", "Slice", "s k0 k1"), step("t", "Slice", "s k1 k3"), step("d", "Div", "t two"), step("m", "Mul", "d two"), step("a", "Add", "m zero"), step("b", "Sub", "a zero"), step("c", "Cast", "b", { to: 7 }), step("q", "Squeeze", "c", {}), step("j", "Concat", "h q", { axis: 0 }), last("Reshape", "x j")],
    inputs: { x: [1, 4, 6] }, tensors: { k0: integers(0), k1: integers(1), k3: integers(3), two: { shape: [], values: [2] }, zero: integers(0, 0) }, ops: "",
  },
  "constants of all kinds": {
    nodes: [step("t", "Constant", "", { value: w([12, 4]) }), step("i", "Identity", "t"), step("u", "Transpose", "i", { perm: [1, 0] }), step("k", "Constant", "", { value_ints: [12, 4] }), step("r", "Reshape", "u k"), step("g", "Gemm", "x r"), step("o", "ConstantOfShape", "n", { value: { shape: [1], values: Float32Array.of(0.5) } }), step("f", "Constant", "", { value_float: real(2) }), step("m", "Mul", "g f"), last("Add", "m o")],
    inputs: vector, tensors: { n: integers(4) }, ops: "dense",
  },
  "as tf2onnx writes NHWC": { nodes: [step("t", "Transpose", "x", { perm: [0, 3, 1, 2] }), step("c", "Conv", "t w"), step("r", "Relu", "c"), last("Transpose", "r", { perm: [0, 2, 3, 1] })], inputs: { x: ["unk__6", 6, 5, 3] }, channelsLast: true, tensors: { w: w([4, 3, 2, 2]) }, ops: "conv2d" },
  "as tf2onnx writes one channel": { nodes: [step("t", "Reshape", "x k"), step("c", "Conv", "t w"), step("b", "Transpose", "c", { perm: [0, 2, 3, 1] }), step("f", "Reshape", "b flat"), last("MatMul", "f v")], inputs: { x: [1, 6, 5, 1] }, channelsLast: true, tensors: { k: integers(-1, 1, 6, 5), flat: integers(-1, 80), w: w([4, 1, 2, 2]), v: w([80, 3]) }, ops: "conv2d reshape dense" },
  transpose: { nodes: [last("Transpose", "x", { perm: [0, 2, 1] })], inputs: { x: [1, 3, 4] }, ops: "reshape transpose reshape" },
  "transposes that cancel": { nodes: [step("a", "Transpose", "x", { perm: [2, 0, 1] }), step("b", "Sigmoid", "a"), last("Transpose", "b", { perm: [1, 2, 0] })], inputs: { x: [1, 3, 4] }, ops: "activation" },
  "channel shuffle": { nodes: [step("c", "Conv", "x w"), step("a", "Reshape", "c k"), step("t", "Transpose", "a", { perm: [0, 2, 1, 3, 4] }), step("b", "Reshape", "t l"), last("Conv", "b v")], inputs: image, tensors: { w: w([4, 3, 2, 2]), k: integers(1, 2, 2, 5, 4), l: integers(1, 4, 5, 4), v: w([2, 4, 1, 1], 3) }, ops: "conv2d reshape transpose reshape conv2d" },
  "squeeze and unsqueeze": { nodes: [step("g", "GlobalAveragePool", "x"), step("s", "Squeeze", "g k"), step("u", "Unsqueeze", "s k"), last("Conv", "u w")], inputs: image, tensors: { k: integers(2, 3), w: w([4, 3, 1, 1]) }, ops: "average-pool conv2d" },
  "squeeze before opset 13": { opset: 11, nodes: [step("g", "GlobalAveragePool", "x"), step("s", "Squeeze", "g", { axes: [2, 3] }), last("Gemm", "s w")], inputs: image, tensors: { w: w([3, 4]) }, ops: "average-pool reshape dense" },
  "concat of channels": { nodes: [step("a", "Conv", "x w"), step("b", "Conv", "x v"), last("Concat", "a b x", { axis: 1 })], inputs: image, tensors: { w: w([4, 3, 1, 1]), v: w([2, 3, 1, 1], 2) }, ops: "conv2d conv2d concat" },
  "concat of heights": { nodes: [step("a", "Conv", "x w"), last("Concat", "x a", { axis: -2 })], inputs: image, tensors: { w: w([3, 3, 1, 1]) }, ops: "conv2d concat" },
  "concat of vectors": { nodes: [step("a", "Gemm", "x w"), last("Concat", "a x", { axis: 1 })], inputs: vector, tensors: { w: w([12, 2]) }, ops: "dense concat" },
  "dropout and identity": { nodes: [step("i", "Identity", "x"), step("d", "Dropout", "i"), last("Gemm", "d w")], inputs: vector, tensors: { w: w([12, 3]) }, ops: "dense" },
  "an odd reshape": { nodes: [step("c", "Conv", "x w"), step("r", "Reshape", "c k"), last("MatMul", "r v")], inputs: image, tensors: { w: w([3, 3, 1, 1]), k: integers(1, 9, 10), v: w([10, 2]) }, ops: "conv2d reshape transpose reshape dense reshape transpose reshape" },
  "one value": { nodes: [step("d", "Gemm", "x w"), last("Mul", "d k")], inputs: vector, tensors: { w: w([12, 1]), k: scalar(3) }, ops: "dense" },
};
