import type { QuantizedMatrix } from "../model/stages.ts";
import { solve } from "../tensor/linear.ts";
import { product } from "../tensor/products.ts";
import { type QuantFormat, roundScale } from "./format.ts";

/** Keeps a block whose codes are all zero solvable, as a share of the diagonal. */
const RIDGE = 1e-6;

/**
 * The same codes under the scales with which they answer best: for each column the s that minimises
 * (w - C s)' R (w - C s), where column b of C holds the codes of block b. A search that looks at the weights alone
 * does not know what the inputs make of them.
 * @param metric R, covariance of the inputs, rows x rows, positive definite
 */
export function refitScales(
  format: QuantFormat,
  matrix: QuantizedMatrix,
  weights: Float32Array,
  metric: Float64Array,
): QuantizedMatrix {
  const { rows, columns, codes, blockLength, scales } = matrix;
  const blocks = scales.length / columns;
  const towards = product(metric, weights, rows, rows, columns);
  const seen = Array.from({ length: blocks }, (_, block) => seenBlock(matrix, metric, block));
  const fitted = new Float32Array(scales.length);
  for (let j = 0; j < columns; j++) {
    const square = new Float64Array(blocks * blocks);
    const right = new Float64Array(blocks);
    for (let i = 0; i < rows; i++) {
      const at = i * columns + j;
      const block = Math.floor(i / blockLength);
      right[block] += codes[at] * towards[at];
      for (let b = 0; b < blocks; b++) square[block * blocks + b] += codes[at] * seen[b][at];
    }
    for (let b = 0; b < blocks; b++) square[b * blocks + b] += RIDGE * square[b * blocks + b] + 1e-12;
    const best = solve(square, right, blocks, 1);
    for (let b = 0; b < blocks; b++) fitted[b * columns + j] = roundScale(format, best[b]);
  }
  return { ...matrix, scales: fitted };
}

/** R times the codes of one block, all others zero: rows x columns. */
function seenBlock(
  { rows, columns, codes, blockLength }: QuantizedMatrix,
  metric: Float64Array,
  block: number,
): Float64Array {
  const from = block * blockLength;
  const length = Math.min(rows, from + blockLength) - from;
  const strip = new Float64Array(rows * length);
  for (let i = 0; i < rows; i++) strip.set(metric.subarray(i * rows + from, i * rows + from + length), i * length);
  const own = Float32Array.from(codes.subarray(from * columns, (from + length) * columns));
  return product(strip, own, rows, length, columns);
}
