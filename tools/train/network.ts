import * as tf from "@tensorflow/tfjs-core";
import { entry } from "../../runtime/base/entry.ts";
import { gaussian } from "../../runtime/base/random.ts";
import { sumOfRows } from "../../runtime/kernels/float/gradients.ts";
import { BANDS, ORDERS } from "../bearing/features.ts";
import { conditions } from "../bearing/machine.ts";

/**
 * The network of the demo, in the manner of MobileNet: a convolution, separable blocks, one of them with a shortcut,
 * a convolution over the rest, average, dense. Values are [positions, batch, channels], positions in rows of `width`.
 */
export interface Layer {
  readonly name: string;
  readonly kind: "conv" | "depthwise";
  readonly kernel: 1 | 3;
  readonly stride: 1 | 2;
  readonly inputs: number;
  readonly outputs: number;
  /** Name of the layer whose value is added to the normalized one. A relu follows in any case. */
  readonly shortcut?: string;
}

/** `width`: channels of the two widest stages. */
export function layersOf(width: readonly [number, number]): readonly Layer[] {
  const [middle, wide] = width;
  return [
    { name: "stem", kind: "conv", kernel: 3, stride: 2, inputs: 1, outputs: 16 },
    { name: "block1.depthwise", kind: "depthwise", kernel: 3, stride: 2, inputs: 16, outputs: 16 },
    { name: "block1.pointwise", kind: "conv", kernel: 1, stride: 1, inputs: 16, outputs: 32 },
    { name: "block2.depthwise", kind: "depthwise", kernel: 3, stride: 2, inputs: 32, outputs: 32 },
    { name: "block2.pointwise", kind: "conv", kernel: 1, stride: 1, inputs: 32, outputs: middle },
    { name: "block3.depthwise", kind: "depthwise", kernel: 3, stride: 1, inputs: middle, outputs: middle },
    {
      name: "block3.pointwise",
      kind: "conv",
      kernel: 1,
      stride: 1,
      inputs: middle,
      outputs: middle,
      shortcut: "block2.pointwise",
    },
    { name: "head", kind: "conv", kernel: 3, stride: 1, inputs: middle, outputs: wide },
  ];
}

export const BATCH_NORM_EPSILON = 1e-3;

/** Everything that is learned, by name: `<layer>.weight`, `.gamma`, `.beta`, and the moving `.mean`, `.variance`. */
export type Variables = Map<string, tf.Variable>;

/** He et al. 2015 (arXiv 1502.01852): normal, variance 2 / fan-in. Weights are [taps, inputs, outputs]. */
export function initialize(layers: readonly Layer[], seed: number): Variables {
  const normal = gaussian(seed);
  const variables: Variables = new Map();
  const add = (name: string, shape: number[], value: () => number, trainable = true): void => {
    const data = Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, value);
    variables.set(name, tf.variable(tf.tensor(data, shape), trainable));
  };
  const weight = (name: string, shape: number[], fanIn: number): void =>
    add(`${name}.weight`, shape, () => normal() * Math.sqrt(2 / fanIn));
  for (const { name, kind, kernel, inputs, outputs } of layers) {
    const taps = kernel ** 2;
    if (kind === "conv") weight(name, [taps, inputs, outputs], taps * inputs);
    else weight(name, [taps, 1, outputs], taps);
    add(`${name}.gamma`, [outputs], () => 1);
    add(`${name}.beta`, [outputs], () => 0);
    add(`${name}.mean`, [outputs], () => 0, false);
    add(`${name}.variance`, [outputs], () => 1, false);
  }
  const last = layers[layers.length - 1].outputs;
  weight("classes", [last, conditions.length], last);
  add("classes.bias", [conditions.length], () => 0);
  return variables;
}

/** A network with its tap matrices, ready to compute. */
export interface Network {
  readonly layers: readonly Layer[];
  readonly variables: Variables;
  readonly taps: ReadonlyMap<string, tf.Tensor2D>;
}

export function network(layers: readonly Layer[], seed: number): Network {
  const taps = new Map<string, tf.Tensor2D>();
  let [height, width] = [BANDS, ORDERS];
  for (const { name, kernel, stride } of layers) {
    if (kernel === 3) taps.set(name, tapMatrix(height, width, stride));
    [height, width] = [height / stride, width / stride];
  }
  return { layers, variables: initialize(layers, seed), taps };
}

/**
 * For each of the 9 taps of a 3x3 window and each output position the input position it sees, as a matrix of ones
 * [9 * outputs, inputs]. A product with it is im2col, and its gradient is a product too: tfjs-backend-wasm has no
 * kernel for the gradient of a convolution's filter.
 */
function tapMatrix(height: number, width: number, stride: number): tf.Tensor2D {
  const [rows, columns] = [height / stride, width / stride];
  const matrix = new Float32Array(9 * rows * columns * height * width);
  for (let tap = 0; tap < 9; tap++) {
    for (let at = 0; at < rows * columns; at++) {
      const y = Math.floor(at / columns) * stride + Math.floor(tap / 3) - 1;
      const x = (at % columns) * stride + (tap % 3) - 1;
      const inside = y >= 0 && y < height && x >= 0 && x < width;
      if (inside) matrix[((tap * rows * columns + at) * height + y) * width + x] = 1;
    }
  }
  return tf.tensor2d(matrix, [9 * rows * columns, height * width]);
}

/** Statistics of a batch, for the moving averages. */
export type Observe = (layer: string, mean: tf.Tensor, variance: tf.Tensor) => void;

/** `inputs`: [positions, batch, 1]. Logits [batch, classes]. With `observe`, normalizes by the batch (training). */
export function forward(net: Network, inputs: tf.Tensor3D, observe?: Observe): tf.Tensor2D {
  const values = new Map<string, tf.Tensor3D>();
  let value = inputs;
  for (const layer of net.layers) {
    const raw = product(layer, value, net);
    const normal = normalize(layer.name, raw, net.variables, observe);
    value = tf.relu(layer.shortcut ? tf.add<tf.Tensor3D>(normal, entry(values, layer.shortcut)) : normal);
    values.set(layer.name, value);
  }
  const logits = tf.matMul<tf.Tensor2D>(average(value), entry(net.variables, "classes.weight"));
  return tf.add(logits, entry(net.variables, "classes.bias"));
}

function product(layer: Layer, value: tf.Tensor3D, { variables, taps }: Network): tf.Tensor3D {
  const [positions, batch, channels] = value.shape;
  const outputs = positions / layer.stride ** 2;
  const weight = entry(variables, `${layer.name}.weight`);
  const seen =
    layer.kernel === 1 ? value : tf.matMul(entry(taps, layer.name), tf.reshape(value, [positions, batch * channels]));
  const perTap = tf.reshape(seen, [layer.kernel ** 2, outputs * batch, channels]);
  const sums = layer.kind === "conv" ? dense(perTap, weight) : sumOfRows(tf, tf.mul(perTap, weight), 1);
  return tf.reshape(sums, [outputs, batch, layer.outputs]);
}

/** [taps, vectors, inputs] x [taps, inputs, outputs] summed over taps, as one product. */
function dense(perTap: tf.Tensor, weight: tf.Tensor): tf.Tensor {
  const [taps, vectors, inputs] = perTap.shape;
  const rows = tf.reshape(taps === 1 ? perTap : tf.transpose(perTap, [1, 0, 2]), [vectors, taps * inputs]);
  return tf.matMul(rows, tf.reshape(weight, [taps * inputs, weight.shape[2] ?? 1]));
}

function normalize(name: string, x: tf.Tensor3D, variables: Variables, observe?: Observe): tf.Tensor3D {
  const gamma = entry(variables, `${name}.gamma`);
  const beta = entry(variables, `${name}.beta`);
  let mean: tf.Tensor = entry(variables, `${name}.mean`);
  let variance: tf.Tensor = entry(variables, `${name}.variance`);
  if (observe) {
    const flat = tf.reshape(x, [-1, x.shape[2]]);
    mean = average(flat);
    const centered = tf.sub(flat, mean);
    variance = average(tf.mul(centered, centered));
    observe(name, mean, variance);
  }
  const scale = tf.mul(gamma, tf.rsqrt(tf.add(variance, BATCH_NORM_EPSILON)));
  return tf.add(tf.mul(tf.sub(x, mean), scale), beta);
}

/** Over the first axis. */
function average(x: tf.Tensor): tf.Tensor {
  return tf.mul(sumOfRows(tf, x, 1), 1 / x.shape[0]);
}
