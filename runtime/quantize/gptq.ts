import type { QuantizedMatrix } from "../model/stages.ts";
import { inverseFactor, meanDiagonal, ridged } from "../tensor/linear.ts";
import { codeOf, emptyMatrix, type QuantFormat, scaleAt } from "./format.ts";

/** Added to the second moments' diagonal, as a share of its mean (GPTQ's "percdamp"). */
const DAMPING = 0.01;

/**
 * GPTQ (arXiv 2210.17323, algorithm 1): rows are rounded one after the other, and what a row's rounding costs in the
 * output is made good by the rows not yet rounded: W[later] -= (w - q) / u_ii * u[i, later], with u' u = H^-1 and H the
 * second moments of the inputs. The rows that matter most, by the diagonal of H, come first ("act-order").
 */
export function gptq(
  format: QuantFormat,
  weights: Float32Array,
  columns: number,
  blockLength: number,
  { order, u }: RoundingOrder,
): QuantizedMatrix {
  const matrix = emptyMatrix(format, weights, columns, blockLength);
  const { rows, codes } = matrix;
  const left = Float64Array.from(weights);
  const error = new Float64Array(columns);
  for (const [i, row] of order.entries()) {
    for (let j = 0; j < columns; j++) {
      const at = row * columns + j;
      codes[at] = codeOf(format, matrix, at, left[at]);
      error[j] = (left[at] - scaleAt(matrix, at) * codes[at]) / u[i * rows + i];
    }
    for (let later = i + 1; later < rows; later++) {
      const share = u[i * rows + later];
      const at = order[later] * columns;
      if (share !== 0) for (let j = 0; j < columns; j++) left[at + j] -= share * error[j];
    }
  }
  return matrix;
}

/** What GPTQ needs of a layer's inputs. */
export interface RoundingOrder {
  /** Rows, the one with the greatest moment first. */
  readonly order: readonly number[];
  /** Upper triangular, rows x rows, in that order: u' u is the inverse of the damped moments. */
  readonly u: Float64Array;
}

/** @param moments of the inputs, rows x rows; centered ones where the bias is corrected afterwards */
export function roundingOrder(moments: Float64Array, rows: number): RoundingOrder {
  const order = Array.from({ length: rows }, (_, i) => i).sort((i, j) => moments[j * rows + j] - moments[i * rows + i]);
  return { order, u: inverseFactor(ordered(damped(moments, rows), order), rows) };
}

/** An input that never varies has no moment; the smallest number keeps the matrix invertible. */
function damped(moments: Float64Array, rows: number): Float64Array {
  return ridged(moments, rows, DAMPING * meanDiagonal(moments, rows) + 1e-12);
}

function ordered(a: Float64Array, order: readonly number[]): Float64Array {
  const n = order.length;
  return a.map((_, i) => a[order[Math.floor(i / n)] * n + order[i % n]]);
}
