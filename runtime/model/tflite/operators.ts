import { Failure } from "../../base/failure.ts";
import { shapeText, sizeOf } from "../../tensor/tensor.ts";
import { addActivation, addClamp, addSoftmax } from "../builder/activation.ts";
import { type Arithmetic, addArithmetic } from "../builder/arithmetic.ts";
import type { Call, Operator } from "../builder/call.ts";
import { addConcat } from "../builder/concat.ts";
import { integersOf, scalarOf, weightsOf } from "../builder/constant.ts";
import { addConv } from "../builder/conv.ts";
import { addDense } from "../builder/dense.ts";
import type { Layout } from "../builder/image.ts";
import { addMean, addPad, addPool } from "../builder/pool.ts";
import type { View } from "../builder/view.ts";
import type { ActivationName } from "../graph.ts";
import type { TfliteNode } from "./file.ts";
import { activated, byteOption, floatOption, integerOption, windowOptions } from "./options.ts";
import { sequenceLstm } from "./recurrent.ts";
import { expanded, packed, reshaped, shapeConstant, sliced, squeezed, transposed } from "./shape.ts";

type TfliteCall = Call<TfliteNode>;

/** https://www.tensorflow.org/mlir/tfl_ops */
export const operators: Readonly<Record<string, Operator<TfliteNode>>> = {
  ADD: arithmetic("add"),
  AVERAGE_POOL_2D: (call) => pool(call, "average-pool"),
  CONCATENATION: concatenation,
  CONV_2D: conv,
  DEPTHWISE_CONV_2D: depthwise,
  DEQUANTIZE: (call) => call.constant(0),
  DIV: arithmetic("div"),
  EXPAND_DIMS: expanded,
  FULLY_CONNECTED: fullyConnected,
  HARD_SWISH: (call) => activation(call, "hard-swish"),
  LEAKY_RELU: (call) => activation(call, "leaky-relu", [floatOption(call, 0)]),
  LOGISTIC: (call) => activation(call, "sigmoid"),
  MAXIMUM: (call) => clamp(call, scalarOf(call.constant(1)), Number.POSITIVE_INFINITY),
  MAX_POOL_2D: (call) => pool(call, "max-pool"),
  MEAN: mean,
  MINIMUM: (call) => clamp(call, Number.NEGATIVE_INFINITY, scalarOf(call.constant(1))),
  MUL: arithmetic("mul"),
  PACK: packed,
  PAD: pad,
  PADV2: pad,
  RELU: (call) => clamp(call, 0, Number.POSITIVE_INFINITY),
  RELU6: (call) => clamp(call, 0, 6),
  RELU_N1_TO_1: (call) => clamp(call, -1, 1),
  RESHAPE: reshaped,
  SHAPE: shapeConstant,
  SOFTMAX: softmax,
  SQUEEZE: squeezed,
  STRIDED_SLICE: sliced,
  SUB: arithmetic("sub"),
  TANH: (call) => activation(call, "tanh"),
  TRANSPOSE: transposed,
  UNIDIRECTIONAL_SEQUENCE_LSTM: sequenceLstm,
};

const NHWC: Layout = [[0], [1], [2], [3]];

function arithmetic(op: Arithmetic): Operator<TfliteNode> {
  return (call) => activated(call, addArithmetic(call.build, call.name, op, call.operand(0), call.operand(1)), 0);
}

function activation(call: TfliteCall, name: ActivationName, parameters: readonly number[] = []): View {
  return addActivation(call.build, call.name, call.view(0), name, parameters);
}

function clamp(call: TfliteCall, min: number, max: number): View {
  return addClamp(call.build, call.name, call.view(0), { min, max });
}

function biasOf(call: TfliteCall): Float32Array | undefined {
  const bias = call.optional(2);
  return bias && weightsOf(bias);
}

/** Weights and their shape, which has to have `rank` axes. */
function filterOf(call: TfliteCall, rank: number): { weights: Float32Array; shape: readonly number[] } {
  const constant = call.constant(1);
  if (constant.shape.length === rank) return { weights: weightsOf(constant), shape: constant.shape };
  throw new Failure("import/malformed", `expected weights with ${rank} axes, found shape ${shapeText(constant.shape)}`);
}

/** Weights are [outputs, height, width, inputs of a group]. */
function conv(call: TfliteCall): View {
  const { weights, shape } = filterOf(call, 4);
  const [outputs, height, width, inputs] = shape;
  const groups = (call.shape(0)[3] ?? inputs) / inputs;
  const strides = { y: width * inputs, x: inputs, input: 1, output: height * width * inputs };
  const fields = { padding: 0, strideWidth: 1, strideHeight: 2, dilationWidth: 4, dilationHeight: 5 };
  const spec = windowOptions(call, fields, [height, width]);
  const filter = { weights, strides, inputs, outputs, groups, bias: biasOf(call) };
  return activated(call, addConv(call.build, call.name, call.view(0), NHWC, spec, filter), 3);
}

/** Weights are [1, height, width, outputs]; the outputs of one channel stand together. */
function depthwise(call: TfliteCall): View {
  const { weights, shape } = filterOf(call, 4);
  const [, height, width, outputs] = shape;
  const groups = call.shape(0)[3] ?? 1;
  const strides = { y: width * outputs, x: outputs, input: 0, output: 1 };
  const fields = { padding: 0, strideWidth: 1, strideHeight: 2, dilationWidth: 5, dilationHeight: 6 };
  const spec = windowOptions(call, fields, [height, width]);
  const filter = { weights, strides, inputs: 1, outputs, groups, bias: biasOf(call) };
  return activated(call, addConv(call.build, call.name, call.view(0), NHWC, spec, filter), 4);
}

/** Weights are [outputs, inputs]; unless its axes are kept, the input is seen as rows of that many inputs. */
function fullyConnected(call: TfliteCall): View {
  const { weights, shape } = filterOf(call, 2);
  const [columns, rows] = shape;
  if (byteOption(call, 1) !== 0) throw new Failure("import/unsupported-attribute", "shuffled weights");
  const keepAxes = byteOption(call, 2) !== 0;
  const size = sizeOf(call.shape(0));
  const view = keepAxes || size % rows !== 0 ? call.view(0) : call.build.reshape(call.view(0), [size / rows, rows]);
  const byRow = new Float32Array(weights.length).map((_, i) => weights[(i % columns) * rows + Math.floor(i / columns)]);
  return activated(call, addDense(call.build, call.name, view, byRow, [rows, columns], biasOf(call)), 0);
}

function pool(call: TfliteCall, op: "max-pool" | "average-pool"): View {
  const kernel = [integerOption(call, 4), integerOption(call, 3)] as const;
  const spec = windowOptions(call, { padding: 0, strideWidth: 1, strideHeight: 2 }, kernel);
  return activated(call, addPool(call.build, call.name, call.view(0), NHWC, op, spec), 5);
}

function concatenation(call: TfliteCall): View {
  const axis = call.axis(integerOption(call, 0), call.shape(0).length);
  return activated(call, addConcat(call.build, call.name, call.views(), axis), 1);
}

function mean(call: TfliteCall): View {
  const rank = call.shape(0).length;
  const dims = integersOf(call.constant(1)).map((axis) => call.axis(axis, rank));
  const view = addMean(call.build, call.name, call.view(0), dims);
  const keepAxes = byteOption(call, 0) !== 0;
  return keepAxes ? view : { ...view, axes: view.axes.filter((_, axis) => !dims.includes(axis)) };
}

/** Paddings are [axis, before and after]; PADV2 has a value to fill in. */
function pad(call: TfliteCall): View {
  const pads = integersOf(call.constant(1));
  if (pads.length !== 8) throw new Failure("import/unsupported-shape", `expected the pads of 4 axes, found [${pads}]`);
  const [, , top, bottom, left, right] = pads;
  if ([0, 1, 6, 7].some((i) => pads[i] !== 0)) {
    throw new Failure("import/unsupported-attribute", `pads [${pads}]; only height and width can be padded`);
  }
  const fill = call.optional(2);
  return addPad(call.build, call.name, call.view(0), NHWC, [top, left, bottom, right], fill ? scalarOf(fill) : 0);
}

function softmax(call: TfliteCall): View {
  const beta = floatOption(call, 0);
  if (beta !== 1) throw new Failure("import/unsupported-attribute", `beta = ${beta}; supported: 1`);
  const view = call.view(0);
  return addSoftmax(call.build, call.name, view, [call.axis(-1, view.axes.length)]);
}
