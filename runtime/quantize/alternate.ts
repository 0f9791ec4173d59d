import type { QuantizedMatrix } from "../model/stages.ts";
import { type Approximation, lowRank } from "../tensor/linear.ts";
import { product } from "../tensor/products.ts";
import { dequantizeMatrix } from "./format.ts";
import type { RoundingOrder } from "./gptq.ts";

/** Codes, and the best low-rank path beside them in the metric of their inputs, if it was looked for. */
export interface Rounded {
  readonly matrix: QuantizedMatrix;
  readonly path?: Approximation | undefined;
}

/**
 * Codes chosen together with the low-rank path that will follow: what the path can carry is taken off the weights
 * before they are rounded, in turns, and the codes are kept that leave the least error after their best path
 * (LoftQ, arXiv 2310.08659, with the inputs' metric instead of the plain norm).
 */
export function alternate(
  round: (weights: Float32Array) => QuantizedMatrix,
  weights: Float32Array,
  { metric }: Pick<RoundingOrder, "metric">,
  rank: number,
  turns: number,
): Rounded {
  let matrix = round(weights);
  const { rows, columns } = matrix;
  let best: Rounded = { matrix };
  for (let turn = 0; turn < turns; turn++) {
    const rounded = dequantizeMatrix(matrix);
    const missing = Float64Array.from(weights, (w, i) => w - rounded[i]);
    const path = lowRank(missing, metric, rows, columns, rank);
    if (!best.path || path.left < best.path.left) best = { matrix, path };
    if (turn === turns - 1) break;
    const carried = product(path.a, path.b, rows, path.rank, columns);
    matrix = round(weights.map((w, i) => w - carried[i]));
  }
  return best;
}
