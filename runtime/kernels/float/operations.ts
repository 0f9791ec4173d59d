import { unreachable } from "../../base/failure.ts";
import type { Activation, Clamp, Layer, Node, Pool } from "../../model/graph.ts";
import type { Tensor, Tensor4D, Tf } from "./tfjs.ts";

/** A node without weights, in floats. Values have one more axis in front than in the graph: the sample. */
export function computed(tf: Tf, node: Exclude<Node, Layer>, inputs: readonly Tensor[]): Tensor {
  const [input, second] = inputs;
  switch (node.op) {
    case "add":
      return clamped(tf, tf.add(input, second), node.clamp);
    case "mul":
      return clamped(tf, tf.mul(input, second), node.clamp);
    case "activation":
      return activated(tf, node, input);
    case "softmax":
      return tf.softmax(input);
    case "max-pool":
    case "average-pool":
      return pooled(tf, node, image(tf, input));
    case "pad":
      return tf.pad(image(tf, input), spatial(node.pads), node.value);
    case "reshape":
      return input;
    case "transpose":
      return tf.transpose(input, [0, ...node.permutation.map((axis) => axis + 1)]);
    case "slice": {
      const begin = input.shape.map((_, axis) => (axis === node.axis + 1 ? node.start : 0));
      return tf.slice(input, begin, [input.shape[0], ...node.shape]);
    }
    case "concat":
      return tf.concat([...inputs], node.axis + 1);
    default:
      return unreachable(node);
  }
}

export type Pair = [number, number];
export type Spatial = [Pair, Pair, Pair, Pair];

export function spatial([top, left, bottom, right]: Pool["pads"]): Spatial {
  return [
    [0, 0],
    [top, bottom],
    [left, right],
    [0, 0],
  ];
}

/** Samples take the place of the batch axis, whose length is 1. */
export function image(tf: Tf, value: Tensor): Tensor4D {
  const [samples, , ...rest] = value.shape;
  return tf.reshape(value, [samples, ...rest] as Tensor4D["shape"]);
}

function pooled(tf: Tf, node: Pool, input: Tensor4D): Tensor {
  const [kernel, stride] = [[...node.kernel], [...node.stride]] as Pair[];
  const pads = spatial(node.pads);
  if (node.op === "max-pool") return tf.maxPool(input, kernel, stride, pads);
  if (node.countPadding) return tf.avgPool(tf.pad(input, pads), kernel, stride, "valid");
  return tf.avgPool(input, kernel, stride, pads);
}

/** tfjs's clip drops NaN and costs a pass, so an open clamp is skipped. */
export function clamped(tf: Tf, value: Tensor, { min, max }: Clamp): Tensor {
  if (min === Number.NEGATIVE_INFINITY && max === Number.POSITIVE_INFINITY) return value;
  return tf.clipByValue(value, min, max);
}

function activated(tf: Tf, { activation, parameters }: Activation, x: Tensor): Tensor {
  const [first, second] = parameters;
  switch (activation) {
    case "clamp":
      return clamped(tf, x, { min: first, max: second });
    case "sigmoid":
      return tf.sigmoid(x);
    case "tanh":
      return tf.tanh(x);
    case "leaky-relu":
      return tf.leakyRelu(x, first);
    case "hard-sigmoid":
      return tf.clipByValue(tf.add(tf.mul(x, first), second), 0, 1);
    case "hard-swish":
      return tf.mul(x, tf.clipByValue(tf.add(tf.mul(x, 1 / 6), 0.5), 0, 1));
    default:
      return unreachable(activation);
  }
}
