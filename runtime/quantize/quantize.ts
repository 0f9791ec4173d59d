import { entry } from "../base/entry.ts";
import { factorOf, type Graph, isLayer, type Layer, shapeOf } from "../model/graph.ts";
import { patchesOf, rowsOf, someRows } from "../model/patches.ts";
import type {
  CriterionName,
  FloatModel,
  FormatName,
  QuantizedLayer,
  QuantizedModel,
  RoundingName,
} from "../model/stages.ts";
import { center, columnMeans } from "../tensor/linear.ts";
import { secondMoment } from "../tensor/products.ts";
import { sizeOf } from "../tensor/tensor.ts";
import { quantizeMatrix } from "./format.ts";
import { formats } from "./formats.ts";
import { cleared } from "./pruning.ts";
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
  /** If given, each layer that is a matrix product gets its own format within it, and those above are not used. */
  readonly budget?: Budget | undefined;
  /** By what the formats within the budget are chosen; alps if absent. */
  readonly criterion?: CriterionName | undefined;
  /** How weights become codes; gptq if absent. */
  readonly rounding?: RoundingName | undefined;
}

/**
 * What a model may take: bits per weight on average, scales included; bytes of all that is stored; time here; energy by
 * the profile's model; or products of single bits. How each is counted: polarize/mix/pricing.ts.
 */
export type Budget =
  | { readonly bitsPerWeight: number }
  | { readonly bytes: number }
  | { readonly microseconds: number }
  | { readonly microjoules: number }
  | { readonly bitOperations: number };

/** What was chosen for each layer by name (polarize/mix/mix.ts). */
export type Mix = ReadonlyMap<string, LayerPolicy>;

export interface LayerPolicy {
  readonly format: FormatName;
  readonly blockLength: number;
  /** Of the surrogate path. */
  readonly rank: number;
  /** Columns of no bits (pruning.ts); none if absent. */
  readonly pruned?: readonly number[] | undefined;
}

/**
 * Weights to the nearest codes of the policy's formats, activations to 8 bits. Better codes take the inputs that a layer
 * gets once those before it are corrected (polarize/polarize.ts).
 * @param observed the float model's values on calibration samples: the input and every node, by name
 * @param mix overrides the policy for the layers that it names
 */
export function quantizeModel(
  model: FloatModel,
  observed: ReadonlyMap<string, Float32Array>,
  policy: QuantizationPolicy,
  mix?: Mix,
): QuantizedModel {
  const { graph } = model;
  const all = graph.nodes.filter(isLayer);
  const layers = all.map((layer): [string, QuantizedLayer] => {
    const own = mix?.get(layer.name);
    const { format, blockLength } = own ?? { format: formatOf(all, layer, policy), blockLength: policy.blockLength };
    const { weights, bias } = entry(model.weights, layer.name);
    const matrix = cleared(quantizeMatrix(formats[format], weights, layer.columns, blockLength), own?.pruned ?? []);
    return [layer.name, { format, matrix, bias }];
  });
  return { stage: "quantized", graph, ranges: rangesOf(graph, observed), layers: new Map(layers) };
}

/** What a layer sees of the float model. */
export interface InputStatistics {
  readonly means: Float64Array;
  /** Covariance of the input vectors, rows x rows. */
  readonly moments: Float64Array;
}

/** Of a layer that is a matrix product. */
export function inputsOf(graph: Graph, layer: Layer, observed: ReadonlyMap<string, Float32Array>): InputStatistics {
  const { inputs, count, length } = someInputs(graph, layer, observed);
  const means = columnMeans(inputs, count, length);
  center(inputs, means);
  return { means, moments: secondMoment(inputs, count, length) };
}

/** Of a layer's input vectors; a depthwise layer's are kernel elements x channels. */
export function inputMeans(graph: Graph, layer: Layer, observed: ReadonlyMap<string, Float32Array>): Float64Array {
  const { inputs, count, length } = someInputs(graph, layer, observed);
  return columnMeans(inputs, count, length);
}

function someInputs(
  graph: Graph,
  layer: Layer,
  observed: ReadonlyMap<string, Float32Array>,
): { inputs: Float32Array; count: number; length: number } {
  const input = factorOf(layer);
  const values = entry(observed, input);
  const shape = shapeOf(graph, input);
  const patches = patchesOf(layer, shape, values.length / sizeOf(shape));
  const looked = someRows(patches.count);
  return { inputs: rowsOf(patches, looked, values, 0), count: looked.length, length: patches.length };
}

function formatOf(layers: readonly Layer[], layer: Layer, policy: QuantizationPolicy): FormatName {
  if (layer.op === "depthwise") return policy.depthwise;
  if (layer === layers[0]) return policy.firstLayer;
  if (layer === layers[layers.length - 1]) return policy.lastLayer;
  return policy.weights;
}
