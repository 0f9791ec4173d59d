import { sizeOf } from "../../tensor/tensor.ts";
import { isLayer, type Layer, NO_CLAMP } from "../graph.ts";
import type { Builder } from "./builder.ts";
import { fileOrder, type View } from "./view.ts";

/**
 * y = scale * x + offset, with one scale and offset per element of the file's axes `dims` (none: for all alike).
 * Goes into the weights of the layer before it, or becomes a 1x1 depthwise layer.
 */
export function addAffine(
  builder: Builder,
  label: string,
  view: View,
  dims: readonly number[],
  scale: Float32Array,
  offset: Float32Array,
): View {
  const from = builder.behind(view, dims);
  const shape = builder.shape(from.value);
  const inner = dims.length > 0 ? scale.length : (shape.at(-1) ?? 1);
  builder.reserve(1, inner);
  const order = dims.length > 0 ? fileOrder(from, dims) : new Int32Array(inner);
  const [scales, offsets] = [scale, offset].map((values) => new Float32Array(inner).map((_, i) => values[order[i]]));
  const producer = builder.producer(from);
  if (
    producer &&
    isLayer(producer) &&
    producer.op !== "recurrence" &&
    producer.columns === inner &&
    producer.clamp === NO_CLAMP
  ) {
    foldAffine(builder, producer, scales, offsets);
    return from;
  }
  const image = shape.length === 4 && shape[3] === inner ? shape : [1, 1, sizeOf(shape) / inner, inner];
  const { value } = builder.reshaped(from.value, image);
  const node = { op: "depthwise", name: builder.name(label), inputs: [value], shape: image } as const;
  const window = { kernel: [1, 1], stride: [1, 1], dilation: [1, 1], pads: [0, 0, 0, 0] } as const;
  builder.add({ ...node, ...window, rows: 1, columns: inner, clamp: NO_CLAMP }, { weights: scales, bias: offsets });
  return { ...from, value: node.name, shared: false };
}

function foldAffine(builder: Builder, layer: Layer, scale: Float32Array, offset: Float32Array): void {
  const { weights, bias } = builder.weights(layer.name);
  builder.replace(layer, {
    weights: weights.map((weight, i) => weight * scale[i % layer.columns]),
    bias: bias.map((value, i) => value * scale[i] + offset[i]),
  });
}
