import { entry } from "../base/entry.ts";
import { isLayer, type Layer, shapeOf } from "../model/graph.ts";
import { patchesOf, rowsOf, someRows } from "../model/patches.ts";
import type { FloatModel, FormatName, QuantizedLayer, QuantizedMatrix, QuantizedModel } from "../model/stages.ts";
import { center, columnMeans } from "../tensor/linear.ts";
import { secondMoment } from "../tensor/products.ts";
import { sizeOf } from "../tensor/tensor.ts";
import { quantizeMatrix } from "./format.ts";
import { formats } from "./formats.ts";
import { gptq } from "./gptq.ts";
import { rangesOf } from "./ranges.ts";

/** Which format each kind of layer gets. Part of a device profile. */
export interface QuantizationPolicy {
  readonly weights: FormatName;
  /** Weights that share a scale, along the input axis; for formats with blocks. As many as the rows: one scale per channel. */
  readonly blockLength: number;
  /** The first and last layers are the most sensitive and keep their own formats. */
  readonly firstLayer: FormatName;
  readonly lastLayer: FormatName;
  /** Depthwise filters are few and have no redundancy. */
  readonly depthwise: FormatName;
}

/** How weights become codes: each to its nearest, or so that the errors of a column cancel on real inputs. */
export type Rounding = "nearest" | "gptq";

/** At this many bits rounding to the nearest code is as good as any. */
const FINE_BITS = 8;

/**
 * Weights to the policy's formats, activations to 8 bits.
 * @param observed the float model's values on calibration samples: the input and every node, by name
 */
export function quantizeModel(
  model: FloatModel,
  observed: ReadonlyMap<string, Float32Array>,
  policy: QuantizationPolicy,
  rounding: Rounding,
): QuantizedModel {
  const { graph } = model;
  const all = graph.nodes.filter(isLayer);
  const layers = all.map((layer): [string, QuantizedLayer] => {
    const format = formatOf(all, layer, policy);
    const { weights, bias } = entry(model.weights, layer.name);
    const fine = rounding === "nearest" || layer.op === "depthwise" || formats[format].bits >= FINE_BITS;
    const matrix = fine
      ? quantizeMatrix(formats[format], weights, layer.columns, policy.blockLength)
      : roundOnInputs(model, layer, observed, format, policy.blockLength);
    return [layer.name, { format, matrix, bias }];
  });
  return { stage: "quantized", graph, ranges: rangesOf(graph, observed), layers: new Map(layers) };
}

function roundOnInputs(
  { graph, weights }: FloatModel,
  layer: Layer,
  observed: ReadonlyMap<string, Float32Array>,
  format: FormatName,
  blockLength: number,
): QuantizedMatrix {
  const [input] = layer.inputs;
  const values = entry(observed, input);
  const shape = shapeOf(graph, input);
  const patches = patchesOf(layer, shape, values.length / sizeOf(shape));
  const looked = someRows(patches.count);
  const inputs = rowsOf(patches, looked, values, 0);
  center(inputs, columnMeans(inputs, looked.length, patches.length));
  const moments = secondMoment(inputs, looked.length, patches.length);
  return gptq(formats[format], entry(weights, layer.name).weights, layer.columns, blockLength, moments);
}

function formatOf(layers: readonly Layer[], layer: Layer, policy: QuantizationPolicy): FormatName {
  if (layer.op === "depthwise") return policy.depthwise;
  if (layer === layers[0]) return policy.firstLayer;
  if (layer === layers[layers.length - 1]) return policy.lastLayer;
  return policy.weights;
}
