import { Failure } from "../../base/failure.ts";
import { type Call, rowOf } from "../builder/call.ts";
import { integersOf } from "../builder/constant.ts";
import type { Layout } from "../builder/image.ts";
import type { Pads, WindowSpec } from "../builder/window.ts";
import type { OnnxNode } from "./file.ts";

type OnnxCall = Call<OnnxNode>;
type Pair = readonly [number, number];

/** NCHW, or NCW as an image of height 1. */
export function imageLayout(call: OnnxCall): Layout {
  const rank = call.shape(0).length;
  if (rank === 4) return [[0], [2], [3], [1]];
  if (rank === 3) return [[0], [], [2], [1]];
  throw new Failure("import/unsupported-shape", `expected an input with 3 or 4 axes, found ${rank}`);
}

const paddings: Readonly<Record<string, Exclude<WindowSpec["padding"], Pads>>> = {
  VALID: "valid",
  SAME_UPPER: "same-upper",
  SAME_LOWER: "same-lower",
};

/** The window attributes of Conv, MaxPool and AveragePool. */
export function windowOf(call: OnnxCall, kernel: readonly number[]): WindowSpec {
  const { attributes } = call.node;
  const named = attributes.integers("kernel_shape") ?? kernel;
  if (named.length !== call.shape(0).length - 2 || named.join() !== kernel.join()) {
    throw new Failure("import/malformed", `kernel_shape [${named}] doesn't fit weights of [${kernel}] and the input`);
  }
  const autoPad = attributes.text("auto_pad", "NOTSET");
  const padding = rowOf(paddings, autoPad) ?? explicitPads(attributes.integers("pads"), kernel.length);
  if (!rowOf(paddings, autoPad) && autoPad !== "NOTSET") {
    throw new Failure(
      "import/unsupported-attribute",
      `attribute auto_pad = ${autoPad}; supported: NOTSET, ${Object.keys(paddings).join(", ")}`,
    );
  }
  return {
    kernel: pair(kernel, kernel.length),
    stride: pair(attributes.integers("strides"), kernel.length),
    dilation: pair(attributes.integers("dilations"), kernel.length),
    padding,
  };
}

/** One number per spatial axis; a missing height is 1. */
function pair(values: readonly number[] | undefined, rank: number): Pair {
  if (!values) return [1, 1];
  if (values.length !== rank) {
    throw new Failure("import/malformed", `expected ${rank} numbers for ${rank} spatial axes, found [${values}]`);
  }
  return rank === 1 ? [1, values[0]] : [values[0], values[1]];
}

function explicitPads(pads: readonly number[] | undefined, rank: number): Pads {
  if (!pads) return [0, 0, 0, 0];
  const [top, left] = rank === 1 ? [0, pads[0]] : pads;
  const [bottom, right] = rank === 1 ? [0, pads[1]] : pads.slice(2);
  if (pads.length === 2 * rank) return [top, left, bottom, right];
  throw new Failure("import/malformed", `expected ${2 * rank} pads for ${rank} spatial axes, found [${pads}]`);
}

/** What only pools have: their rounding, and whether an average counts the padding. */
export function poolSpec(call: OnnxCall, op: "max-pool" | "average-pool"): { spec: WindowSpec; countPadding: boolean } {
  const { attributes } = call.node;
  const spec = windowOf(call, attributes.integers("kernel_shape") ?? []);
  if (spec.dilation.some((step) => step !== 1)) {
    throw new Failure("import/unsupported-attribute", `attribute dilations = ${spec.dilation}; supported: 1`);
  }
  const ceil = attributes.only("ceil_mode", 0, 1) === 1;
  const countPadding = op === "average-pool" && attributes.only("count_include_pad", 0, 1) === 1;
  if (ceil && countPadding) {
    throw new Failure("import/unsupported-attribute", "attribute ceil_mode together with count_include_pad");
  }
  return { spec: { ...spec, ceil }, countPadding };
}

/** The pads of the Pad operator, [all begins, all ends] of the axes that it names or of all. */
export function spatialPads(call: OnnxCall, pads: readonly number[]): Pads {
  const rank = call.shape(0).length;
  const named = call.optional(3);
  const axes = named ? integersOf(named).map((axis) => call.axis(axis, rank)) : call.shape(0).map((_, axis) => axis);
  if (pads.length !== 2 * axes.length) {
    throw new Failure("import/malformed", `expected ${2 * axes.length} pads, found ${pads.length}`);
  }
  const begins = new Map(axes.map((axis, i) => [axis, pads[i]]));
  const ends = new Map(axes.map((axis, i) => [axis, pads[axes.length + i]]));
  if (axes.some((axis) => axis < 2 && (begins.get(axis) !== 0 || ends.get(axis) !== 0))) {
    throw new Failure("import/unsupported-attribute", `pads [${pads}]; only height and width can be padded`);
  }
  const [y, x] = [rank - 2, rank - 1].map((axis) => (axis < 2 ? -1 : axis));
  return [begins.get(y) ?? 0, begins.get(x) ?? 0, ends.get(y) ?? 0, ends.get(x) ?? 0];
}
