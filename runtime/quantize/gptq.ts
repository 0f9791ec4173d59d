import type { QuantizedMatrix } from "../model/stages.ts";
import { inverseFactor, meanDiagonal, ridged } from "../tensor/linear.ts";
import { crossProduct } from "../tensor/products.ts";
import { settled } from "./descent.ts";
import { codeOf, emptyMatrix, type QuantFormat } from "./format.ts";
import { refitScales } from "./scales.ts";

/** Added to the second moments' diagonal, as a share of its mean (GPTQ's "percdamp"). */
const DAMPING = 0.01;
/**
 * So much more where as many vectors were seen as there are rows, less where more: with few of them the moments say
 * little of directions that other inputs have. (Images at INT8: KL .0018 -> .0017, agreement 98.5 -> 98.7 %.)
 */
const FEW = 0.5;
/** Rows after which what they cost is taken to all later ones at once, as one product (the paper's "lazy batch"). */
const TOGETHER = 32;

/** Weights rounded to a format. */
export function gptq(
  format: QuantFormat,
  weights: Float32Array,
  columns: number,
  blockLength: number,
  order: RoundingOrder,
): QuantizedMatrix {
  return choose(format, emptyMatrix(format, weights, columns, blockLength), weights, order);
}

/**
 * GPTQ under scales that fit it: chosen once for the weights alone, then for the codes that it gave them on these
 * inputs; what that leaves is settled code by code. (Images at two bits: agreement 87.2 -> 89.4 %, KL .110 -> .091, and
 * KL .090 -> .081 by settling.)
 */
export function gptqSettled(
  format: QuantFormat,
  weights: Float32Array,
  columns: number,
  blockLength: number,
  order: RoundingOrder,
): QuantizedMatrix {
  const { metric } = order;
  const first = gptq(format, weights, columns, blockLength, order);
  if (format.grouped) return settled(format, first, weights, metric);
  const second = choose(format, refitScales(format, first, weights, metric), weights, order);
  return settled(format, second, weights, metric);
}

/** Codes for the scales of a matrix. */
function choose(
  format: QuantFormat,
  scaled: QuantizedMatrix,
  weights: Float32Array,
  order: RoundingOrder,
): QuantizedMatrix {
  const { columns, blockLength, scales } = scaled;
  const codes = new Int8Array(weights.length);
  const matrix = { ...scaled, codes };
  roundInOrder(weights, columns, order, (row, wanted, given) => {
    const [from, block] = [row * columns, Math.floor(row / blockLength) * columns];
    for (let j = 0; j < columns; j++) {
      const scale = scales[block + j];
      const weight = wanted[j];
      const code = format.grouped
        ? codeOf(format, matrix, from + j, weight)
        : format.nearest(scale === 0 ? 0 : weight / scale);
      codes[from + j] = code;
      given[j] = scale * code;
    }
  });
  return matrix;
}

/**
 * GPTQ (arXiv 2210.17323, algorithm 1): rows are rounded one after the other, and what a row's rounding costs in the
 * output is made good by the rows not yet rounded: W[later] -= (w - q) / u_ii * u[i, later], with u' u = H^-1 and H the
 * second moments of the inputs. The rows that matter most, by the diagonal of H, come first ("act-order").
 * @param roundRow keeps the nearest codes of a row's weights and writes what they stand for, `columns` each
 */
export function roundInOrder(
  weights: Float32Array,
  columns: number,
  { order, u }: RoundingOrder,
  roundRow: (row: number, wanted: Float64Array, given: Float64Array) => void,
): void {
  const rows = order.length;
  const left = inOrder(weights, order, columns);
  const given = new Float64Array(columns);
  for (let first = 0; first < rows; first += TOGETHER) {
    const end = Math.min(rows, first + TOGETHER);
    const errors = new Float64Array((end - first) * columns);
    for (let i = first; i < end; i++) {
      const wanted = left.subarray(i * columns, (i + 1) * columns);
      const error = errors.subarray((i - first) * columns, (i + 1 - first) * columns);
      roundRow(order[i], wanted, given);
      for (let j = 0; j < columns; j++) error[j] = (wanted[j] - given[j]) / u[i * rows + i];
      for (let later = i + 1; later < end; later++) {
        const share = u[i * rows + later];
        const from = later * columns;
        for (let j = 0; j < columns; j++) left[from + j] -= share * error[j];
      }
    }
    const shares = sharesOf(u, rows, first, end);
    const made = crossProduct(shares, errors, end - first, rows - end, columns);
    for (const [k, good] of made.entries()) left[end * columns + k] -= good;
  }
}

/** u[first .. end, end ..]: how rows rounded together bear on all after them. */
function sharesOf(u: Float64Array, rows: number, first: number, end: number): Float64Array {
  const shares = new Float64Array((end - first) * (rows - end));
  for (let i = first; i < end; i++) shares.set(u.subarray(i * rows + end, (i + 1) * rows), (i - first) * (rows - end));
  return shares;
}

function inOrder(weights: Float32Array, order: readonly number[], columns: number): Float64Array {
  const out = new Float64Array(weights.length);
  for (const [to, from] of order.entries())
    out.set(weights.subarray(from * columns, (from + 1) * columns), to * columns);
  return out;
}

/** What GPTQ needs of a layer's inputs. */
export interface RoundingOrder {
  /** Rows, the one with the greatest moment first. */
  readonly order: readonly number[];
  /** Upper triangular, rows x rows, in that order: u' u is the inverse of the damped moments. */
  readonly u: Float64Array;
  /** The damped moments, rows x rows, in the layer's own order. */
  readonly metric: Float64Array;
}

/**
 * @param moments of the inputs, rows x rows; centered ones where the bias is corrected afterwards
 * @param count vectors that they were taken from
 */
export function roundingOrder(
  moments: Float64Array,
  rows: number,
  count: number = Number.POSITIVE_INFINITY,
): RoundingOrder {
  const order = Array.from({ length: rows }, (_, i) => i).sort((i, j) => moments[j * rows + j] - moments[i * rows + i]);
  const metric = damped(moments, rows, DAMPING + (FEW * rows) / count);
  return { order, u: inverseFactor(ordered(metric, order), rows), metric };
}

/** An input that never varies has no moment; the smallest number keeps the matrix invertible. */
function damped(moments: Float64Array, rows: number, share: number): Float64Array {
  return ridged(moments, rows, share * meanDiagonal(moments, rows) + 1e-12);
}

function ordered(a: Float64Array, order: readonly number[]): Float64Array {
  const n = order.length;
  return a.map((_, i) => a[order[Math.floor(i / n)] * n + order[i % n]]);
}
