import { weights as w } from "./onnx.ts";
import { fill, image, last, type OnnxCases, positive, real, scalar, step, vector } from "./onnx-cases.ts";

const norm = { g: w([4], 2), b: w([4], 3), m: w([4], 4), v: positive(4, 5) };

/** Layers with weights, and what is folded into them. */
// biome-ignore format: one row per case
export const layerCases: OnnxCases = {
  conv: { nodes: [last("Conv", "x w b", { kernel_shape: [3, 2], strides: [2, 1], pads: [1, 0, 2, 1] })], inputs: image, tensors: { w: w([4, 3, 3, 2]), b: w([4], 2) }, ops: "conv2d" },
  "conv dilated": { nodes: [last("Conv", "x w", { dilations: [2, 1], pads: [1, 1, 1, 1] })], inputs: image, tensors: { w: w([2, 3, 3, 2]) }, ops: "conv2d" },
  "conv same upper": { nodes: [last("Conv", "x w", { auto_pad: "SAME_UPPER", strides: [2, 2] })], inputs: image, tensors: { w: w([2, 3, 3, 2]) }, ops: "conv2d" },
  "conv same lower": { nodes: [last("Conv", "x w", { auto_pad: "SAME_LOWER", strides: [2, 2] })], inputs: image, tensors: { w: w([2, 3, 3, 2]) }, ops: "conv2d" },
  "conv valid": { nodes: [last("Conv", "x w", { auto_pad: "VALID" })], inputs: image, tensors: { w: w([2, 3, 3, 3]) }, ops: "conv2d" },
  "conv depthwise": { nodes: [last("Conv", "x w b", { group: 3, pads: [1, 1, 1, 1] })], inputs: image, tensors: { w: w([3, 1, 3, 3]), b: w([3], 2) }, ops: "depthwise" },
  "conv depthwise, multiplier 2": { nodes: [last("Conv", "x w", { group: 3 })], inputs: image, tensors: { w: w([6, 1, 2, 2]) }, ops: "conv2d" },
  "conv depthwise of one channel": { nodes: [last("Conv", "x w")], inputs: { x: [1, 1, 4, 3] }, tensors: { w: w([5, 1, 2, 2]) }, ops: "conv2d" },
  "conv in two groups": { nodes: [last("Conv", "x w", { group: 2 })], inputs: { x: [1, 4, 3, 3] }, tensors: { w: w([6, 2, 2, 2]) }, ops: "conv2d" },
  "conv of one axis": { nodes: [last("Conv", "x w", { pads: [1, 2], strides: [2] })], inputs: { x: [1, 3, 8] }, tensors: { w: w([4, 3, 3]) }, ops: "reshape transpose conv2d transpose reshape" },
  gemm: { nodes: [last("Gemm", "x w b", { alpha: real(0.5), beta: real(2) })], inputs: vector, tensors: { w: w([12, 4]), b: w([4], 2) }, ops: "dense" },
  "gemm transposed, one bias": { nodes: [last("Gemm", "x w b", { transB: 1 })], inputs: vector, tensors: { w: w([4, 12]), b: w([1], 2) }, ops: "dense" },
  "matmul on rows, then bias": { nodes: [step("m", "MatMul", "x w"), last("Add", "b m")], inputs: { x: ["batch", 3, 4] }, tensors: { w: w([4, 5]), b: w([5], 2) }, ops: "dense" },
  "conv, batch normalization, relu6": { nodes: [step("c", "Conv", "x w"), step("n", "BatchNormalization", "c g b m v", { epsilon: real(0.01), momentum: real(0.9) }), last("Clip", "n lo hi")], inputs: image, tensors: { w: w([4, 3, 2, 2]), ...norm, lo: scalar(0), hi: scalar(6) }, ops: "conv2d" },
  "batch normalization alone": { nodes: [last("BatchNormalization", "x g b m v")], inputs: { x: [1, 4] }, tensors: norm, ops: "reshape depthwise reshape" },
  "batch normalization of two readers": { nodes: [step("c", "Conv", "x w"), step("n", "BatchNormalization", "c g b m v"), last("Add", "n c")], inputs: image, tensors: { w: w([4, 3, 2, 2]), ...norm }, ops: "conv2d depthwise add" },
  "scale and shift per channel": { nodes: [step("c", "Conv", "x w"), step("m", "Mul", "c s"), step("a", "Add", "m t"), last("Sub", "a k")], inputs: image, tensors: { w: w([4, 3, 2, 2]), s: w([4, 1, 1], 3), t: w([1, 4, 1, 1], 4), k: scalar(0.25) }, ops: "conv2d" },
  "scale of the input": { nodes: [step("d", "Div", "x s"), step("r", "Sub", "k d"), last("Conv", "r w")], inputs: image, tensors: { w: w([4, 3, 2, 2]), s: fill([1], 127.5), k: scalar(1) }, ops: "depthwise conv2d" },
  "a mean image": { nodes: [step("m", "Sub", "x w"), last("Relu", "m")], inputs: image, tensors: { w: w([3, 6, 5]) }, ops: "reshape depthwise reshape" },
  "pad of a conv": { nodes: [step("p", "Pad", "x k"), last("Conv", "p w", { strides: [2, 2] })], inputs: image, tensors: { k: { shape: [8], values: [0, 0, 0, 1, 0, 0, 1, 1] }, w: w([4, 3, 3, 3]) }, ops: "conv2d" },
};
