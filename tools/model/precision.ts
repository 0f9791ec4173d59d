import { isLayer, macs } from "../../runtime/model/graph.ts";
import type { FormatName, PolarizedModel } from "../../runtime/model/stages.ts";
import { surrogateMacs } from "../../runtime/plan/energy.ts";
import { bitOperations } from "../../runtime/polarize/mix/pricing.ts";
import { storedBytes } from "../../runtime/quantize/format.ts";
import { formats } from "../../runtime/quantize/formats.ts";
import { percent, table } from "../cli/table.ts";

export interface LayerPrecision {
  readonly layer: string;
  readonly format: FormatName;
  readonly rank: number;
  /** Of a weight, scales included. */
  readonly bits: number;
  /** Of its answers on the calibration samples, corrected, relative to the float model's; null if it was not kept. */
  readonly error: number | null;
}

export function layersOf({ layers }: PolarizedModel): LayerPrecision[] {
  return [...layers].map(([layer, { format, matrix, digital, error }]) => ({
    layer,
    format,
    rank: digital.surrogate?.rank ?? 0,
    bits: (8 * storedBytes(formats[format], matrix)) / matrix.codes.length,
    error: error ?? null,
  }));
}

/** What the main path takes per weight, scales included, and what the surrogates add to it. */
export function precisionOf({ graph, layers }: PolarizedModel): {
  bitsPerWeight: number;
  bitOperations: number;
  surrogate: { params: number; extraParamsPct: number; extraMacsPct: number };
} {
  const total = { weights: 0, bytes: 0, macs: 0, params: 0, extraMacs: 0, bitOperations: 0 };
  for (const node of graph.nodes.filter(isLayer)) {
    const layer = layers.get(node.name);
    if (!layer) continue;
    const { rows, columns } = layer.matrix;
    const rank = layer.digital.surrogate?.rank ?? 0;
    total.weights += rows * columns;
    total.bytes += storedBytes(formats[layer.format], layer.matrix);
    total.macs += macs(node);
    total.params += rank * (rows + columns);
    total.extraMacs += surrogateMacs(node, rank);
    total.bitOperations += bitOperations(node, formats[layer.format].bits, rank);
  }
  return {
    bitsPerWeight: (8 * total.bytes) / total.weights,
    bitOperations: total.bitOperations,
    surrogate: {
      params: total.params,
      extraParamsPct: (100 * total.params) / total.weights,
      extraMacsPct: (100 * total.extraMacs) / total.macs,
    },
  };
}

/** How each layer is kept, and what that leaves wrong in its answers. */
export function precisionTable(layers: readonly LayerPrecision[]): string {
  return table(
    [
      { title: "layer" },
      { title: "format" },
      { title: "bits", align: "right" },
      { title: "rank", align: "right" },
      { title: "error", align: "right" },
    ],
    layers.map(({ layer, format, bits, rank, error }) => [
      layer,
      format,
      bits.toFixed(2),
      String(rank),
      percent(error),
    ]),
  );
}
