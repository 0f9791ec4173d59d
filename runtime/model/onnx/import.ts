import { Failure } from "../../base/failure.ts";
import type { Shape } from "../../tensor/tensor.ts";
import { assemble } from "../builder/assemble.ts";
import { type Operator, rowOf } from "../builder/call.ts";
import { type DeclaredInput, onlyInput } from "../builder/input.ts";
import type { FloatModel } from "../stages.ts";
import { evaluators, isKnown } from "./constants.ts";
import { type OnnxFile, type OnnxNode, parseOnnx } from "./file.ts";
import { operators } from "./operators.ts";

/** Physical orders of an image, as axes of the file. */
const CHANNELS_FIRST = [0, 2, 3, 1];
const AS_STORED = [0, 1, 2, 3];

/** An ONNX file with one input and one output, float weights and fixed shapes. */
export function importOnnx(bytes: Uint8Array, name: string): FloatModel {
  const file = parseOnnx(bytes);
  const inputs = file.inputs.filter((input) => !file.initializers.has(input.name));
  const input = onlyInput(inputs, file.outputs, "float");
  const source = {
    name,
    input,
    inputTensor: input.name,
    output: file.outputs[0],
    nodes: file.nodes,
    constant: (tensor: string) => file.initializers.get(tensor),
    layout: isChannelsFirst(file, input) ? CHANNELS_FIRST : AS_STORED,
  };
  return { stage: "float", source: { format: "onnx", version: file.opset }, ...assemble(source, operatorOf) };
}

function operatorOf(node: OnnxNode): Operator<OnnxNode> {
  const evaluate = rowOf(evaluators, node.operator);
  const operator = rowOf(operators, node.operator) ?? evaluate;
  if (!operator) {
    const supported = Object.keys(operators).join(", ");
    throw new Failure("import/unsupported-operator", `this operator isn't supported. Supported are ${supported}`);
  }
  return (call) => {
    const operand = evaluate && isKnown(call) ? evaluate(call) : operator(call);
    node.attributes.checkAllRead();
    return operand;
  };
}

/** These take the order of the axes as it comes. */
const indifferent = new Set(
  "Add Sub Mul Div Relu Clip Sigmoid Tanh LeakyRelu HardSwish HardSigmoid Identity Dropout Pad BatchNormalization".split(
    " ",
  ),
);
const imageOperators = new Set("Conv MaxPool AveragePool GlobalAveragePool".split(" "));

/**
 * ONNX images are NCHW, but files that came from TensorFlow take NHWC and transpose it first. So what counts is the
 * first operator that cares; where that doesn't tell either (a flatten), the shorter axis is taken for the channels.
 */
function isChannelsFirst({ nodes }: OnnxFile, { name, shape }: DeclaredInput & { shape: Shape }): boolean {
  const [, second, third, fourth] = shape;
  const same = new Set<string | undefined>([name]);
  for (const { operator, inputs, outputs } of nodes) {
    if (!inputs.some((tensor) => same.has(tensor))) continue;
    if (imageOperators.has(operator)) return true;
    if (operator === "Transpose") return false;
    if (!indifferent.has(operator)) break;
    same.add(outputs[0]);
  }
  return second < Math.min(third, fourth);
}
