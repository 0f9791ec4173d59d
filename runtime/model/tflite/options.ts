import { Failure } from "../../base/failure.ts";
import { addActivation, addClamp } from "../builder/activation.ts";
import type { Call } from "../builder/call.ts";
import type { View } from "../builder/view.ts";
import type { WindowSpec } from "../builder/window.ts";
import type { Clamp } from "../graph.ts";
import type { TfliteNode } from "./file.ts";

type TfliteCall = Call<TfliteNode>;

/** Option fields are numbered in schema.fbs; one that is left out has its default there. */
export function integerOption(call: TfliteCall, field: number, otherwise = 0): number {
  return call.node.options?.i32(field, otherwise) ?? otherwise;
}

export function byteOption(call: TfliteCall, field: number): number {
  return call.node.options?.u8(field) ?? 0;
}

export function floatOption(call: TfliteCall, field: number): number {
  return call.node.options?.f32(field) ?? 0;
}

/** Where the options of a windowed operator are. */
interface WindowFields {
  readonly padding: number;
  readonly strideWidth: number;
  readonly strideHeight: number;
  readonly dilationWidth?: number;
  readonly dilationHeight?: number;
}

/** Padding: SAME, VALID. */
const paddings = ["same-upper", "valid"] as const;

export function windowOptions(call: TfliteCall, fields: WindowFields, kernel: WindowSpec["kernel"]): WindowSpec {
  const padding = paddings[byteOption(call, fields.padding)];
  if (!padding) throw new Failure("import/malformed", `padding ${byteOption(call, fields.padding)}`);
  const dilation = (field: number | undefined): number => (field === undefined ? 1 : integerOption(call, field, 1));
  return {
    kernel,
    stride: [integerOption(call, fields.strideHeight), integerOption(call, fields.strideWidth)],
    dilation: [dilation(fields.dilationHeight), dilation(fields.dilationWidth)],
    padding,
  };
}

/** ActivationFunctionType: NONE, RELU, RELU_N1_TO_1, RELU6, TANH. */
const activations: readonly (Clamp | "none" | "tanh")[] = [
  "none",
  { min: 0, max: Number.POSITIVE_INFINITY },
  { min: -1, max: 1 },
  { min: 0, max: 6 },
  "tanh",
];

/** The activation that is fused into the operator, in option `field`. */
export function activated(call: TfliteCall, view: View, field: number): View {
  const activation = activations[byteOption(call, field)];
  if (!activation) {
    throw new Failure(
      "import/unsupported-attribute",
      `fused activation ${byteOption(call, field)}; supported: none, relu, relu_n1_to_1, relu6, tanh`,
    );
  }
  if (activation === "none") return view;
  const label = `${call.name}:activation`;
  return activation === "tanh"
    ? addActivation(call.build, label, view, "tanh")
    : addClamp(call.build, label, view, activation);
}
