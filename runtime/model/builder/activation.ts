import { Failure } from "../../base/failure.ts";
import { sizeOf } from "../../tensor/tensor.ts";
import { type ActivationName, type Clamp, isMatmul } from "../graph.ts";
import type { Builder } from "./builder.ts";
import { factorsOf, type View } from "./view.ts";

/** relu, relu6, clip: fused into the node before it if that is its only reader. */
export function addClamp(builder: Builder, label: string, view: View, clamp: Clamp): View {
  if (!(clamp.min <= clamp.max)) {
    throw new Failure("import/unsupported-attribute", `a clip from ${clamp.min} to ${clamp.max}`);
  }
  const producer = builder.producer(view);
  if (
    producer &&
    (isMatmul(producer) || producer.op === "depthwise" || producer.op === "add" || producer.op === "mul")
  ) {
    builder.replace({ ...producer, clamp: within(producer.clamp, clamp) });
    return view;
  }
  if (producer?.op === "activation" && producer.activation === "clamp") {
    const [min, max] = producer.parameters;
    const both = within({ min, max }, clamp);
    builder.replace({ ...producer, parameters: [both.min, both.max] });
    return view;
  }
  return addActivation(builder, label, view, "clamp", [clamp.min, clamp.max]);
}

/** First `inner`, then `outer`. */
function within(inner: Clamp, outer: Clamp): Clamp {
  const limit = (value: number): number => Math.min(Math.max(value, outer.min), outer.max);
  return { min: limit(inner.min), max: limit(inner.max) };
}

export function addActivation(
  builder: Builder,
  label: string,
  view: View,
  activation: ActivationName,
  parameters: readonly number[] = [],
): View {
  const name = builder.name(label);
  builder.add({
    op: "activation",
    name,
    inputs: [view.value],
    shape: builder.shape(view.value),
    activation,
    parameters,
  });
  return { ...view, value: name, shared: false };
}

/** Over the file's axes `dims` together. */
export function addSoftmax(builder: Builder, label: string, view: View, dims: readonly number[]): View {
  const from = builder.behind(view, dims);
  const inner = sizeOf(factorsOf(from, dims).map((factor) => from.factors[factor]));
  const shape = builder.shape(from.value);
  const outer = sizeOf(shape) / inner;
  const placed = shape.at(-1) === inner ? shape : outer > 1 ? [1, outer, inner] : [1, inner];
  const { value } = builder.reshaped(from.value, placed);
  const name = builder.name(label);
  builder.add({ op: "softmax", name, inputs: [value], shape: placed });
  return { ...from, value: name, shared: false };
}
