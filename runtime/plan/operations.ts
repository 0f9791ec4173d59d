import type { ConvStep, DepthwiseStep, RecurrenceStep, Slot, Step } from "../kernels/step.ts";
import {
  type Conv2d,
  type Dense,
  type Depthwise,
  isMatmul,
  NO_CLAMP,
  type Node,
  type Pool,
  type Recurrence,
  type Window,
} from "../model/graph.ts";
import type { Affine, PolarizedLayer, QuantizedMatrix } from "../model/stages.ts";
import { lookupTable } from "./activation.ts";
import type { Operation, ProductOperation } from "./plan.ts";
import { asColumn, isPoint, spatialAxis, spatialPermutation } from "./spatial.ts";
import { productOf, vectorsOf } from "./storage.ts";

/** What an operation needs to know beyond its node. */
export interface Surroundings {
  /** Where a value of the graph lives. */
  slot(value: string): Slot;
  /** A buffer of f32 that is no value of the graph. */
  buffer(name: string, shape: Slot["shape"]): Slot;
  layer(name: string): PolarizedLayer;
  isAccelerated(layer: string): boolean;
}

/** A window that looks at one position. */
const POINT: Window = { kernel: [1, 1], stride: [1, 1], dilation: [1, 1], pads: [0, 0, 0, 0] };

/** How a node is computed; not at all if it is a reshape, which shares its input's memory. */
export function operationOf(node: Node, around: Surroundings): Operation | undefined {
  if (isMatmul(node) && around.isAccelerated(node.name)) return productOperation(node, around);
  const step = stepOf(node, around);
  return step && { kind: "step", value: node.name, step };
}

export function stepOf(node: Node, around: Surroundings): Step | undefined {
  const { name } = node;
  const inputs = node.inputs.map((value) => around.slot(value));
  const [input, second] = inputs;
  const output = around.slot(name);
  switch (node.op) {
    case "conv2d":
    case "dense":
      return convStep(node, input, second, output, around.layer(name));
    case "depthwise":
      return depthwiseStep(node, input, output, around.layer(name));
    case "add":
    case "mul":
      return { op: node.op, name, inputs: [input, second], output, clamp: node.clamp };
    case "activation": {
      const table = lookupTable(node.activation, node.parameters, input, output);
      return { op: "lookup", name, input, output, table };
    }
    case "softmax":
      return { op: "softmax", name, input, output };
    case "max-pool":
    case "average-pool":
      return { ...windowOf(node), op: node.op, name, input, output, countPadding: node.countPadding };
    case "pad":
      return { op: "pad", name, input, output, pads: node.pads, code: codeOf(node.value, output) };
    case "transpose":
      return { op: "transpose", name, input, output, permutation: spatialPermutation(node) };
    case "slice":
      return { op: "slice", name, input, output, axis: spatialAxis(node), start: node.start };
    case "recurrence":
      return recurrenceStep(node, input, output, around);
    case "concat":
      return { op: "concat", name, inputs, output, axis: spatialAxis(node) };
    case "reshape":
      return undefined;
  }
}

/** A dense layer is a convolution that looks at one position; its other axes are a column of positions. */
export function convStep(
  node: Conv2d | Dense,
  input: Slot,
  residual: Slot | undefined,
  output: Slot,
  layer: PolarizedLayer,
): ConvStep {
  const { matrix, digital } = layer;
  const dense = node.op === "dense";
  return {
    ...(dense ? POINT : windowOf(node)),
    op: "conv2d",
    name: node.name,
    input: dense ? asColumn(input, node.rows) : input,
    output: dense ? asColumn(output, node.columns) : output,
    weights: withGain(matrix, digital.gain),
    bias: digital.bias,
    surrogate: digital.surrogate,
    residual: residual && dense ? asColumn(residual, node.columns) : residual,
    clamp: node.clamp,
  };
}

function recurrenceStep(node: Recurrence, input: Slot, output: Slot, around: Surroundings): RecurrenceStep {
  const { name, rows, columns, cell, reverse } = node;
  const { matrix, digital } = around.layer(name);
  const product: ConvStep = {
    ...POINT,
    op: "conv2d",
    name,
    input: { ...output, offset: around.buffer(vectorsOf(name), [1, 1, rows]).offset, shape: [1, 1, rows] },
    output: around.buffer(productOf(name), [1, 1, columns]),
    weights: withGain(matrix, digital.gain),
    bias: digital.bias,
    surrogate: digital.surrogate,
    residual: undefined,
    clamp: NO_CLAMP,
  };
  return { op: "recurrence", name, cell, reverse, input, output, product };
}

export function depthwiseStep(node: Depthwise, input: Slot, output: Slot, layer: PolarizedLayer): DepthwiseStep {
  const { matrix, digital } = layer;
  return {
    ...windowOf(node),
    op: "depthwise",
    name: node.name,
    input,
    output,
    weights: withGain(matrix, digital.gain),
    bias: digital.bias,
    clamp: node.clamp,
  };
}

function productOperation(node: Conv2d | Dense, around: Surroundings): ProductOperation {
  const layer = around.layer(node.name);
  const [source, added] = node.inputs.map((value) => around.slot(value));
  const digital = convStep(node, source, added, around.slot(node.name), layer);
  const { name, input, output, residual, clamp } = digital;
  const positions = output.shape[0] * output.shape[1];
  const direct = node.op === "dense" || isPoint(node);
  const vectors: Slot = direct
    ? asColumn(input, node.rows)
    : { ...input, offset: around.buffer(vectorsOf(name), input.shape).offset, shape: [positions, 1, node.rows] };
  const product = around.buffer(productOf(name), [positions, 1, node.columns]);
  const { gain, bias, surrogate } = layer.accelerator ?? layer.digital;
  return {
    kind: "product",
    value: name,
    gather: direct ? undefined : { ...windowOf(node), op: "gather", name, input, output: vectors },
    vectors,
    product,
    finish: { op: "finish", name, vectors, product, output, gain, bias, surrogate, residual, clamp },
    digital,
  };
}

export function windowOf({ kernel, stride, dilation, pads }: Conv2d | Depthwise | Pool): Window {
  return { kernel, stride, dilation, pads };
}

/** A gain per column is a change of scales. */
function withGain(matrix: QuantizedMatrix, gain: Float32Array): QuantizedMatrix {
  if (gain.every((factor) => factor === 1)) return matrix;
  return { ...matrix, scales: matrix.scales.map((scale, i) => scale * gain[i % matrix.columns]) };
}

function codeOf(value: number, { scale, zeroPoint }: Affine): number {
  return Math.max(0, Math.min(255, Math.round(value / scale) + zeroPoint));
}
