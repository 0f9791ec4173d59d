import { isLayer, macs, positions } from "../runtime/model/graph.ts";
import type { PolarizedModel } from "../runtime/model/stages.ts";
import { storedBytes } from "../runtime/quantize/format.ts";
import { formats } from "../runtime/quantize/formats.ts";
import type { LayerReport } from "./eval-report.ts";

export function layersOf({ layers }: PolarizedModel): LayerReport[] {
  return [...layers].map(([layer, { format, matrix, digital }]) => ({
    layer,
    format,
    rank: digital.surrogate?.rank ?? 0,
    bits: (8 * storedBytes(formats[format], matrix)) / matrix.codes.length,
  }));
}

/** What the main path takes per weight, scales included, and what the surrogates add to it. */
export function precisionOf({ graph, layers }: PolarizedModel): {
  bitsPerWeight: number;
  surrogate: { params: number; extraParamsPct: number; extraMacsPct: number };
} {
  const total = { weights: 0, bytes: 0, macs: 0, params: 0, extraMacs: 0 };
  for (const node of graph.nodes.filter(isLayer)) {
    const layer = layers.get(node.name);
    if (!layer) continue;
    const { rows, columns } = layer.matrix;
    const params = (layer.digital.surrogate?.rank ?? 0) * (rows + columns);
    total.weights += rows * columns;
    total.bytes += storedBytes(formats[layer.format], layer.matrix);
    total.macs += macs(node);
    total.params += params;
    total.extraMacs += params * positions(node);
  }
  return {
    bitsPerWeight: (8 * total.bytes) / total.weights,
    surrogate: {
      params: total.params,
      extraParamsPct: (100 * total.params) / total.weights,
      extraMacsPct: (100 * total.extraMacs) / total.macs,
    },
  };
}
