import { Failure } from "../../base/failure.ts";
import { shapeText } from "../../tensor/tensor.ts";
import { addActivation, addClamp, addSoftmax } from "../builder/activation.ts";
import { type Arithmetic, addArithmetic, addNormalization, type Operand } from "../builder/arithmetic.ts";
import type { Call, Operator } from "../builder/call.ts";
import { addConcat } from "../builder/concat.ts";
import { floats, scalarOf, weightsOf } from "../builder/constant.ts";
import { addConv } from "../builder/conv.ts";
import { addDense } from "../builder/dense.ts";
import { addMean, addPad, addPool } from "../builder/pool.ts";
import type { View } from "../builder/view.ts";
import type { ActivationName } from "../graph.ts";
import type { OnnxNode } from "./file.ts";
import { imageLayout, poolSpec, spatialPads, windowOf } from "./image.ts";
import { recurrent } from "./recurrent.ts";
import { flattened, gathered, reshaped, sliced, squeezed, transposed, unsqueezed } from "./shape.ts";

type OnnxCall = Call<OnnxNode>;

/** https://onnx.ai/onnx/operators: what is computed. Shape arithmetic on constants is in constants.ts. */
export const operators: Readonly<Record<string, Operator<OnnxNode>>> = {
  Add: arithmetic("add"),
  AveragePool: (call) => pool(call, "average-pool"),
  BatchNormalization: batchNormalization,
  Clip: (call) =>
    addClamp(call.build, call.name, call.view(0), { min: limit(call, 1, "min"), max: limit(call, 2, "max") }),
  Concat: (call) =>
    addConcat(
      call.build,
      call.name,
      call.views(),
      call.axis(attributes(call).integer("axis", 1), call.shape(0).length),
    ),
  Conv: conv,
  Div: arithmetic("div"),
  Dropout: (call) => call.view(0),
  Flatten: flattened,
  Gemm: gemm,
  Gather: gathered,
  GRU: (call) => recurrent(call, "gru"),
  GlobalAveragePool: (call) => addMean(call.build, call.name, call.view(0), spatialAxes(call)),
  HardSigmoid: (call) =>
    activation(call, "hard-sigmoid", [attributes(call).float("alpha", 0.2), attributes(call).float("beta", 0.5)]),
  HardSwish: (call) => activation(call, "hard-swish"),
  Identity: (call) => call.operand(0),
  LSTM: (call) => recurrent(call, "lstm"),
  LeakyRelu: (call) => activation(call, "leaky-relu", [attributes(call).float("alpha", 0.01)]),
  MatMul: (call) => product(call, { bias: undefined, alpha: 1, beta: 1, transposed: false }),
  Max: (call) => extreme(call, "min"),
  MaxPool: (call) => pool(call, "max-pool"),
  Min: (call) => extreme(call, "max"),
  Mul: arithmetic("mul"),
  Pad: pad,
  ReduceMean: mean,
  Relu: (call) => addClamp(call.build, call.name, call.view(0), { min: 0, max: Number.POSITIVE_INFINITY }),
  Reshape: reshaped,
  Sigmoid: (call) => activation(call, "sigmoid"),
  Slice: sliced,
  Softmax: softmax,
  Squeeze: squeezed,
  Sub: arithmetic("sub"),
  Tanh: (call) => activation(call, "tanh"),
  Transpose: transposed,
  Unsqueeze: unsqueezed,
};

const attributes = (call: OnnxCall): OnnxNode["attributes"] => call.node.attributes;

function arithmetic(op: Arithmetic): Operator<OnnxNode> {
  return (call) => addArithmetic(call.build, call.name, op, call.operand(0), call.operand(1));
}

function activation(call: OnnxCall, name: ActivationName, parameters: readonly number[] = []): View {
  return addActivation(call.build, call.name, call.view(0), name, parameters);
}

function conv(call: OnnxCall): Operand {
  const { shape, values } = requireFloats(call, 1);
  const groups = attributes(call).integer("group", 1);
  const [outputs, inputs, ...kernel] = shape;
  const [height, width] = kernel.length === 1 ? [1, kernel[0]] : kernel;
  const strides = { y: width, x: 1, input: height * width, output: inputs * height * width };
  const bias = call.operands[2] && weightsOf(call.constant(2));
  const filter = { weights: values, strides, inputs, outputs, groups, bias };
  return addConv(call.build, call.name, call.view(0), imageLayout(call), windowOf(call, kernel), filter);
}

function requireFloats(call: OnnxCall, i: number): { shape: readonly number[]; values: Float32Array } {
  const constant = call.constant(i);
  return { shape: constant.shape, values: weightsOf(constant) };
}

function pool(call: OnnxCall, op: "max-pool" | "average-pool"): View {
  const { spec, countPadding } = poolSpec(call, op);
  return addPool(call.build, call.name, call.view(0), imageLayout(call), op, spec, countPadding);
}

interface ProductOptions {
  readonly bias: Float32Array | undefined;
  readonly alpha: number;
  readonly beta: number;
  readonly transposed: boolean;
}

function gemm(call: OnnxCall): View {
  const from = attributes(call);
  from.only("transA", 0);
  const rank = call.shape(0).length;
  if (rank !== 2) throw new Failure("import/unsupported-shape", `expected an input with 2 axes, found ${rank}`);
  const bias = call.operands[2] && weightsOf(call.constant(2));
  const [alpha, beta] = [from.float("alpha", 1), from.float("beta", 1)];
  return product(call, { bias, alpha, beta, transposed: from.only("transB", 0, 1) === 1 });
}

function product(call: OnnxCall, { bias, alpha, beta, transposed }: ProductOptions): View {
  const { shape, values } = requireFloats(call, 1);
  if (shape.length !== 2) {
    throw new Failure("import/unsupported-shape", `expected a weight matrix, found shape ${shapeText(shape)}`);
  }
  const [rows, columns] = transposed ? [shape[1], shape[0]] : shape;
  const [rowStride, columnStride] = transposed ? [1, rows] : [columns, 1];
  const weights = new Float32Array(values.length).map(
    (_, i) => alpha * values[Math.floor(i / columns) * rowStride + (i % columns) * columnStride],
  );
  const wide = bias?.length === 1 && columns > 1 ? new Float32Array(columns).fill(bias[0]) : bias;
  const scaled = wide?.map((value) => value * beta);
  return addDense(call.build, call.name, call.view(0), weights, [rows, columns], scaled);
}

function batchNormalization(call: OnnxCall): View {
  attributes(call).only("training_mode", 0);
  const [gamma, beta, mean, variance] = [1, 2, 3, 4].map((i) => weightsOf(call.constant(i)));
  const epsilon = attributes(call).float("epsilon", 1e-5);
  const axis = call.axis(1, call.shape(0).length);
  return addNormalization(call.build, call.name, call.view(0), axis, { gamma, beta, mean, variance, epsilon });
}

/** Operator set 11 moved min and max from the attributes to the inputs. */
function limit(call: OnnxCall, input: number, name: "min" | "max"): number {
  const open = name === "min" ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
  if (call.node.opset < 11) return attributes(call).float(name, open);
  const constant = call.optional(input);
  return constant ? scalarOf(constant) : open;
}

/** The larger or smaller of a value and a constant, as some exporters write relu6. */
function extreme(call: OnnxCall, end: "min" | "max"): View {
  const constant = scalarOf(call.constant(1));
  const open = { min: Number.NEGATIVE_INFINITY, max: Number.POSITIVE_INFINITY };
  return addClamp(call.build, call.name, call.view(0), { ...open, [end]: constant });
}

function spatialAxes(call: OnnxCall): number[] {
  return call.shape(0).flatMap((_, axis) => (axis >= 2 ? [axis] : []));
}

/** Before operator set 13 all axes from `axis` on are one. */
function softmax(call: OnnxCall): View {
  const old = call.node.opset < 13;
  const rank = call.shape(0).length;
  const axis = call.axis(attributes(call).integer("axis", old ? 1 : -1), rank);
  const dims = old ? Array.from({ length: rank - axis }, (_, i) => axis + i) : [axis];
  return addSoftmax(call.build, call.name, call.view(0), dims);
}

/** Operator set 18 moved the axes from the attributes to the inputs. */
function mean(call: OnnxCall): View {
  const from = attributes(call);
  const rank = call.shape(0).length;
  const named = call.optional(1);
  const axes = (named ? [...named.values] : from.integers("axes")) ?? call.shape(0).map((_, axis) => axis);
  const dims = axes.map((axis) => call.axis(axis, rank));
  const keepAxes = from.only("keepdims", 1, 0) === 1;
  if (from.only("noop_with_empty_axes", 0, 1) === 1 && dims.length === 0) return call.view(0);
  const view = addMean(call.build, call.name, call.view(0), dims);
  if (keepAxes) return view;
  return { ...view, axes: view.axes.filter((_, axis) => !dims.includes(axis)) };
}

/** Operator set 11 moved the pads from the attributes to the inputs. */
function pad(call: OnnxCall): View {
  const from = attributes(call);
  const mode = from.text("mode", "constant");
  if (mode !== "constant") {
    throw new Failure("import/unsupported-attribute", `attribute mode = ${mode}; supported: constant`);
  }
  const pads = call.node.opset < 11 ? from.integers("pads") : [...call.constant(1).values];
  const fill =
    call.node.opset < 11 ? from.float("value", 0) : scalarOf(call.optional(2) ?? floats(new Float32Array(1), []));
  return addPad(call.build, call.name, call.view(0), imageLayout(call), spatialPads(call, pads ?? []), fill);
}
