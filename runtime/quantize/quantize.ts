import { isLayer, type Layer } from "../model/graph.ts";
import type { FloatModel, FormatName, QuantizedLayer, QuantizedModel } from "../model/stages.ts";
import { quantizeMatrix } from "./format.ts";
import { formats } from "./formats.ts";
import { rangesOf } from "./ranges.ts";

/** Which format each kind of layer gets. Part of a device profile. */
export interface QuantizationPolicy {
  readonly weights: FormatName;
  /** Weights that share a scale, along the input axis; for formats with blocks. */
  readonly blockLength: number;
  /** The first and last layers are the most sensitive and keep their own formats. */
  readonly firstLayer: FormatName;
  readonly lastLayer: FormatName;
  /** Depthwise filters are few and have no redundancy. */
  readonly depthwise: FormatName;
}

/**
 * Weights to the policy's formats, activations to 8 bits.
 * @param observed the float model's values on calibration samples: the input and every node, by name
 */
export function quantizeModel(
  model: FloatModel,
  observed: ReadonlyMap<string, Float32Array>,
  policy: QuantizationPolicy,
): QuantizedModel {
  const layers = model.graph.nodes.filter(isLayer);
  return {
    stage: "quantized",
    graph: model.graph,
    ranges: rangesOf(model.graph, observed),
    layers: new Map(
      layers.map((layer) => [layer.name, quantizeLayer(model, layer, policy, formatOf(layers, layer, policy))]),
    ),
  };
}

function quantizeLayer(
  model: FloatModel,
  layer: Layer,
  policy: QuantizationPolicy,
  format: FormatName,
): QuantizedLayer {
  const float = model.weights.get(layer.name);
  if (!float) throw new Error(`layer ${layer.name} has no weights`);
  const matrix = quantizeMatrix(formats[format], float.weights, layer.columns, policy.blockLength);
  return { format, matrix, bias: float.bias };
}

function formatOf(layers: readonly Layer[], layer: Layer, policy: QuantizationPolicy): FormatName {
  if (layer.op === "depthwise") return policy.depthwise;
  if (layer === layers[0]) return policy.firstLayer;
  if (layer === layers[layers.length - 1]) return policy.lastLayer;
  return policy.weights;
}
