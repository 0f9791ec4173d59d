import { integers, weights as w } from "./onnx.ts";
import { image, last, type OnnxCases, real, scalar, step, vector } from "./onnx-cases.ts";

const one = (op: string): OnnxCases[string] => ({ nodes: [last(op, "x")], inputs: vector, ops: "activation" });

/** Operators without weights that compute. */
// biome-ignore format: one row per case
export const valueCases: OnnxCases = {
  relu: one("Relu"),
  sigmoid: one("Sigmoid"),
  tanh: one("Tanh"),
  "hard swish": one("HardSwish"),
  "leaky relu": { nodes: [last("LeakyRelu", "x", { alpha: real(0.2) })], inputs: vector, ops: "activation" },
  "hard sigmoid": { nodes: [last("HardSigmoid", "x", { alpha: real(0.3), beta: real(0.4) })], inputs: vector, ops: "activation" },
  "clip by attributes": { opset: 10, nodes: [last("Clip", "x", { min: real(-0.5), max: real(1) })], inputs: vector, ops: "activation" },
  "clip with one end": { nodes: [last("Clip", "x - hi")], inputs: vector, tensors: { hi: scalar(1) }, ops: "activation" },
  "two clips": { nodes: [step("d", "Gemm", "x w"), step("a", "Relu", "d"), last("Clip", "a lo hi")], inputs: vector, tensors: { w: w([12, 5]), lo: scalar(-1), hi: scalar(0.5) }, ops: "dense" },
  "relu6 of min and max": { nodes: [step("d", "Gemm", "x w"), step("a", "Max", "d lo"), last("Min", "a hi")], inputs: vector, tensors: { w: w([12, 5]), lo: scalar(0), hi: scalar(6) }, ops: "dense" },
  "relu of two readers": { nodes: [step("d", "Gemm", "x w"), step("r", "Relu", "d"), last("Mul", "r d")], inputs: vector, tensors: { w: w([12, 5]) }, ops: "dense activation mul" },
  "hard swish in parts": { nodes: [step("h", "HardSigmoid", "x", { alpha: real(1 / 6), beta: real(0.5) }), last("Mul", "x h")], inputs: vector, ops: "activation" },
  "softmax of channels": { nodes: [last("Softmax", "x", { axis: 1 })], inputs: { x: [1, 3, 2, 5] }, channelsLast: true, ops: "transpose softmax transpose" },
  "softmax before opset 13": { opset: 11, nodes: [last("Softmax", "x", { axis: 1 })], inputs: { x: [1, 3, 4] }, ops: "reshape softmax reshape" },
  "softmax of rows": { nodes: [last("Softmax", "x")], inputs: { x: [1, 3, 4] }, ops: "softmax" },
  "add of two branches": { nodes: [step("a", "Conv", "x w"), step("b", "Conv", "x v"), step("s", "Add", "a b"), last("Relu", "s")], inputs: image, tensors: { w: w([4, 3, 1, 1]), v: w([4, 3, 1, 1], 2) }, ops: "conv2d conv2d add" },
  "difference of two branches": { nodes: [step("a", "Gemm", "x w"), step("b", "Sigmoid", "x"), step("s", "Sub", "b a"), last("Tanh", "s")], inputs: vector, tensors: { w: w([12, 12]) }, ops: "activation dense activation" },
  "squeeze and excite": { nodes: [step("g", "GlobalAveragePool", "x"), step("c", "Conv", "g w"), step("s", "Sigmoid", "c"), last("Mul", "s x")], inputs: image, tensors: { w: w([3, 3, 1, 1]) }, ops: "average-pool conv2d activation mul" },
  "a map for all channels": { nodes: [step("c", "Conv", "x w"), step("s", "Sigmoid", "c"), step("v", "Conv", "x v1"), last("Mul", "v s")], inputs: image, tensors: { w: w([1, 3, 1, 1]), v1: w([4, 3, 1, 1], 2) }, ops: "conv2d activation conv2d transpose reshape reshape mul reshape transpose" },
  "max pool": { nodes: [last("MaxPool", "x", { kernel_shape: [3, 2], strides: [2, 2], pads: [1, 0, 1, 1] })], inputs: image, ops: "max-pool" },
  "max pool, ceil": { nodes: [last("MaxPool", "x", { kernel_shape: [2, 2], strides: [2, 3], ceil_mode: 1 })], inputs: image, ops: "max-pool" },
  "average pool": { nodes: [last("AveragePool", "x", { kernel_shape: [3, 2], strides: [2, 2], pads: [1, 0, 1, 1] })], inputs: image, ops: "average-pool" },
  "average pool, same": { nodes: [last("AveragePool", "x", { kernel_shape: [3, 2], auto_pad: "SAME_UPPER" })], inputs: image, ops: "average-pool" },
  "average pool with its padding": { nodes: [last("AveragePool", "x", { kernel_shape: [3, 2], strides: [2, 2], pads: [1, 0, 1, 1], count_include_pad: 1 })], inputs: image, ops: "average-pool" },
  "global average pool": { nodes: [last("GlobalAveragePool", "x")], inputs: image, ops: "average-pool" },
  "mean of height and width": { nodes: [step("c", "Conv", "x w"), last("ReduceMean", "c", { axes: [2, 3], keepdims: 0 })], inputs: image, tensors: { w: w([4, 3, 2, 2]) }, ops: "conv2d average-pool reshape" },
  "mean of rows, opset 18": { opset: 18, nodes: [last("ReduceMean", "x k", { keepdims: 0 })], inputs: { x: [1, 3, 4] }, tensors: { k: integers(1) }, ops: "reshape average-pool reshape" },
  "pad with a value": { nodes: [step("p", "Pad", "x k c"), last("MaxPool", "p", { kernel_shape: [2, 2] })], inputs: image, tensors: { k: integers(0, 0, 1, 0, 0, 0, 2, 1), c: scalar(0.5) }, ops: "pad max-pool" },
  "pad before opset 11": { opset: 9, nodes: [step("p", "Pad", "x", { pads: [0, 0, 1, 0, 0, 0, 2, 1], value: real(-1) }), last("Conv", "p w")], inputs: image, tensors: { w: w([2, 3, 2, 2]) }, ops: "pad conv2d" },
};
