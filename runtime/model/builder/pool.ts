import { Failure } from "../../base/failure.ts";
import { sizeOf } from "../../tensor/tensor.ts";
import type { Builder } from "./builder.ts";
import { asImage, imageView, type Layout } from "./image.ts";
import { factorsOf, type View, viewOf } from "./view.ts";
import { type Pads, placeWindow, type WindowSpec } from "./window.ts";

export function addPool(
  builder: Builder,
  label: string,
  view: View,
  layout: Layout,
  op: "max-pool" | "average-pool",
  spec: WindowSpec,
  countPadding = false,
): View {
  const { value, shape } = asImage(builder, view, layout);
  const { window, output } = placeWindow(spec, [shape[1], shape[2]]);
  const name = builder.name(label);
  const added = builder.add({ ...window, op, name, inputs: [value], shape: [1, ...output, shape[3]], countPadding });
  return imageView(added, layout);
}

/** The mean over the file's axes `dims`, which stay with length 1. */
export function addMean(builder: Builder, label: string, view: View, dims: readonly number[]): View {
  const kept = view.axes.map((_, axis) => axis).filter((axis) => !dims.includes(axis));
  const from = builder.behind(view, kept);
  const inner = factorsOf(from, kept);
  const channels = sizeOf(inner.map((factor) => from.factors[factor]));
  const stored = builder.shape(from.value);
  const fits = stored.length === 4 && stored[0] === 1 && stored[3] === channels;
  const { value, shape } = builder.reshaped(from.value, fits ? stored : [1, 1, sizeOf(stored) / channels, channels]);
  const kernel = [shape[1], shape[2]] as const;
  const { window } = placeWindow({ kernel, stride: [1, 1], dilation: [1, 1], padding: "valid" }, kernel);
  const name = builder.name(label);
  const out = [1, 1, 1, channels];
  builder.add({ ...window, op: "average-pool", name, inputs: [value], shape: out, countPadding: false });
  const first = inner[0] ?? 0;
  return {
    ...viewOf(name, out),
    factors: inner.map((factor) => from.factors[factor]),
    axes: from.axes.map((group, axis) => (dims.includes(axis) ? [] : group.map((factor) => factor - first))),
  };
}

export function addPad(builder: Builder, label: string, view: View, layout: Layout, pads: Pads, fill: number): View {
  if (pads.every((pad) => pad === 0)) return view;
  if (pads.some((pad) => pad < 0)) {
    throw new Failure("import/unsupported-attribute", `pads have to be 0 or more, found ${pads.join(", ")}`);
  }
  const { value, shape } = asImage(builder, view, layout);
  const [top, left, bottom, right] = pads;
  const padded = [1, shape[1] + top + bottom, shape[2] + left + right, shape[3]];
  const name = builder.name(label);
  return imageView(builder.add({ op: "pad", name, inputs: [value], shape: padded, pads, value: fill }), layout);
}
