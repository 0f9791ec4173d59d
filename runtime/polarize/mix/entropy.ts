import { entry } from "../../base/entry.ts";
import { isLayer, isMixing } from "../../model/graph.ts";
import { correctionBytes } from "../../plan/weight-bytes.ts";
import { quantizeMatrix, storedBytes } from "../../quantize/format.ts";
import { formats } from "../../quantize/formats.ts";
import type { QuantizationPolicy } from "../../quantize/quantize.ts";
import type { Calibration } from "../polarize.ts";
import { type LayerOption, waysToRound } from "./sensitivity.ts";

/**
 * How much each layer minds each format, from its weights alone: EAGL (arXiv 2301.13330). A layer's gain at a format
 * is what its codes can tell apart, their entropy; its loss here is what is missing to the richest format on offer. The
 * entropy counts once per weight, not once per layer: on image classification that is worth 3 pp of agreement. No
 * sample is looked at, and nothing is said of ranks: every layer gets the calibration's.
 */
export function entropies({ float, rank }: Calibration, policy: QuantizationPolicy): LayerOption[][] {
  return float.graph.nodes.filter(isLayer).map((layer) => {
    const weights = entry(float.weights, layer.name);
    const own = isMixing(layer) ? Math.min(rank, layer.rows, layer.columns) : 0;
    const priced = waysToRound(layer, policy).map(([format, blockLength]) => {
      const matrix = quantizeMatrix(formats[format], weights.weights, layer.columns, blockLength);
      const stored = storedBytes(formats[format], matrix);
      const bytes = stored + correctionBytes(layer, own);
      return {
        option: { layer: layer.name, format, blockLength, rank: own, pruned: [], weightBits: 8 * stored, bytes },
        entropy: entropyOf(matrix.codes),
      };
    });
    const richest = Math.max(...priced.map(({ entropy }) => entropy));
    return priced.map(({ option, entropy }) => ({ ...option, loss: (richest - entropy) * weights.weights.length }));
  });
}

/** H = -sum of p log2 p over the codes' shares p, in bits per weight. */
export function entropyOf(codes: Int8Array): number {
  const counts = new Float64Array(256);
  for (const code of codes) counts[code & 255]++;
  const shares = counts.filter((count) => count > 0).map((count) => count / codes.length);
  return shares.reduce((sum, share) => sum - share * Math.log2(share), 0);
}
