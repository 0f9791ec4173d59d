import { type Shape, sizeOf } from "../tensor/tensor.ts";

/**
 * What is computed, without the weights: the one form that everything after the importers knows. NHWC, static shapes
 * with a batch of 1, batch normalization folded, relu-like activations fused as a clamp. A node yields exactly one
 * value, which has the node's name. The same graph goes through all stages (stages.ts) and is plain data.
 */
export interface Graph {
  readonly name: string;
  readonly input: { readonly name: string; readonly shape: Shape };
  /** The name of the node (or input) whose value is the model's output. */
  readonly output: string;
  /** In topological order. */
  readonly nodes: readonly Node[];
}

export type Node =
  | Conv2d
  | Depthwise
  | Dense
  | Recurrence
  | Elementwise
  | Activation
  | Softmax
  | Pool
  | Pad
  | Reshape
  | Transpose
  | Slice
  | Concat;
export type OpName = Node["op"];

interface Base {
  readonly name: string;
  readonly inputs: readonly string[];
  /** Of the value that this node yields. */
  readonly shape: Shape;
}

/** What a fused relu, relu6 or clip lets through. */
export interface Clamp {
  readonly min: number;
  readonly max: number;
}
export const NO_CLAMP: Clamp = { min: Number.NEGATIVE_INFINITY, max: Number.POSITIVE_INFINITY };
export const RELU: Clamp = { min: 0, max: Number.POSITIVE_INFINITY };

/** Where a window stands on the input. Pairs are [height, width]; pads are [top, left, bottom, right], zeros. */
export interface Window {
  readonly kernel: readonly [number, number];
  readonly stride: readonly [number, number];
  readonly dilation: readonly [number, number];
  readonly pads: readonly [number, number, number, number];
}

/**
 * A node with weights, rows x columns: rows are inputs of one output, columns are outputs. A conv2d or dense node may
 * have a second input, of its own shape, that is added to the product before the clamp (a residual connection).
 */
interface Matrix extends Base {
  readonly rows: number;
  readonly columns: number;
}

interface Weighted extends Matrix {
  readonly clamp: Clamp;
}

/** Rows in the order kernel y, kernel x, input channel. */
export interface Conv2d extends Weighted, Window {
  readonly op: "conv2d";
}

/** One filter per channel: rows in the order kernel y, kernel x; columns are the channels. */
export interface Depthwise extends Weighted, Window {
  readonly op: "depthwise";
}

/** Acts on the last axis; every other axis is a batch. */
export interface Dense extends Weighted {
  readonly op: "dense";
}

/**
 * A recurrent layer over a sequence [1, T, gates * H], which already is what a dense layer made of the inputs and biases
 * of all gates. The weights are those of the state: H x gates * H, with a bias for what the state brings. With
 * v = h[t-1] W + bias and x = input[t], gate by gate in the order of the columns, s = sigmoid:
 *
 *   lstm  i, o, f, g:  c = s(x_f + v_f) * c[t-1] + s(x_i + v_i) * tanh(x_g + v_g);  h = s(x_o + v_o) * tanh(c)
 *   gru   z, r, n:     h = z * h[t-1] + (1 - z) * tanh(x_n + s(x_r + v_r) * v_n),  z = s(x_z + v_z)
 *
 * h[-1] and c[-1] are 0. In reverse the sequence is walked from its end; values stay where they belong in time.
 * (ONNX LSTM and GRU with linear_before_reset.)
 */
export interface Recurrence extends Matrix {
  readonly op: "recurrence";
  readonly cell: Cell;
  readonly reverse: boolean;
}

export type Cell = "lstm" | "gru";
export const GATES: Readonly<Record<Cell, number>> = { lstm: 4, gru: 3 };

/** Two inputs of equal shape, or the second one [1, 1, 1, C] against [1, H, W, C] (squeeze and excite). */
export interface Elementwise extends Base {
  readonly op: "add" | "mul";
  readonly clamp: Clamp;
}

export type ActivationName = "clamp" | "sigmoid" | "tanh" | "leaky-relu" | "hard-swish" | "hard-sigmoid";
export interface Activation extends Base {
  readonly op: "activation";
  readonly activation: ActivationName;
  /** clamp: min, max; leaky-relu: alpha (slope below zero); hard-sigmoid: alpha, beta; others: none. */
  readonly parameters: readonly number[];
}

/** Over the last axis. */
export interface Softmax extends Base {
  readonly op: "softmax";
}

/** An average divides by the window's area inside the input, or by its whole area if `countPadding`. */
export interface Pool extends Base, Window {
  readonly op: "max-pool" | "average-pool";
  readonly countPadding: boolean;
}

/** Spatial, [top, left, bottom, right]. */
export interface Pad extends Base {
  readonly op: "pad";
  readonly pads: readonly [number, number, number, number];
  readonly value: number;
}

/** Same values in the same order under another shape. */
export interface Reshape extends Base {
  readonly op: "reshape";
}

export interface Transpose extends Base {
  readonly op: "transpose";
  readonly permutation: readonly number[];
}

/** A part of one axis. */
export interface Slice extends Base {
  readonly op: "slice";
  readonly axis: number;
  readonly start: number;
}

export interface Concat extends Base {
  readonly op: "concat";
  readonly axis: number;
}

/** Nodes with weights: the ones that are quantized and corrected. */
export type Layer = Conv2d | Depthwise | Dense | Recurrence;

export function isLayer(node: Node): node is Layer {
  return isMatmul(node) || node.op === "depthwise" || node.op === "recurrence";
}

/** Layers that are one matrix product of all their inputs, so that accelerators and residuals apply. */
export function isMatmul(node: Node): node is Conv2d | Dense {
  return node.op === "conv2d" || node.op === "dense";
}

/** Layers that mix their inputs, so that their error has a low-rank part. */
export function isMixing(node: Node): node is Conv2d | Dense | Recurrence {
  return isMatmul(node) || node.op === "recurrence";
}

/** The value that a layer multiplies: a recurrent one its own output, one step before. */
export function factorOf(layer: Layer): string {
  return layer.op === "recurrence" ? layer.name : layer.inputs[0];
}

/** How often the weights are used per inference: output positions. */
export function positions(layer: Layer): number {
  return layer.op === "recurrence" ? layer.shape[1] : sizeOf(layer.shape) / layer.columns;
}

/** Multiply-accumulates of one inference. */
export function macs(layer: Layer): number {
  return positions(layer) * layer.rows * layer.columns;
}

/** The shape of any value of the model, by name. */
export function shapeOf(graph: Graph, value: string): Shape {
  if (value === graph.input.name) return graph.input.shape;
  const node = graph.nodes.find(({ name }) => name === value);
  if (!node) throw new Error(`no value named ${value} in ${graph.name}`);
  return node.shape;
}
