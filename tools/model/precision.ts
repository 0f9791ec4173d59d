import { isLayer, macs } from "../../runtime/model/graph.ts";
import type { FormatName, PolarizedModel } from "../../runtime/model/stages.ts";
import { surrogateMacs } from "../../runtime/plan/energy.ts";
import { bitOperations } from "../../runtime/polarize/mix/pricing.ts";
import { storedBytes } from "../../runtime/quantize/format.ts";
import { formats } from "../../runtime/quantize/formats.ts";
import { prunedColumns } from "../../runtime/quantize/pruning.ts";
import { type Column, percent, table } from "../cli/table.ts";

export interface LayerPrecision {
  readonly layer: string;
  readonly format: FormatName;
  readonly rank: number;
  /** Columns of no bits, of all. */
  readonly pruned: number;
  readonly columns: number;
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
    pruned: prunedColumns(matrix).length,
    columns: matrix.columns,
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
    const pruned = prunedColumns(layer.matrix);
    total.bitOperations += bitOperations(node, { bits: formats[layer.format].bits, rank, pruned });
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
  const right = (title: string): Column => ({ title, align: "right" });
  const whole = layers.every(({ pruned }) => pruned === 0);
  return table(
    [{ title: "layer" }, { title: "format" }, ...["bits", "rank", ...(whole ? [] : ["pruned"]), "error"].map(right)],
    layers.map(({ layer, format, bits, rank, pruned, columns, error }) => [
      layer,
      format,
      bits.toFixed(2),
      String(rank),
      ...(whole ? [] : [pruned === 0 ? "-" : `${pruned} of ${columns}`]),
      percent(error),
    ]),
  );
}
