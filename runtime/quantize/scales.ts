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
  const { rows, columns, scales } = matrix;
  const blocks = scales.length / columns;
  const towards = product(metric, weights, rows, rows, columns);
  const seen = Array.from({ length: blocks }, (_, block) => seenBlock(matrix, metric, block));
  const { squares, rights } = normalEquations(matrix, towards, seen);
  const fitted = new Float32Array(scales.length);
  for (let j = 0; j < columns; j++) {
    const square = squares.subarray(j * blocks * blocks, (j + 1) * blocks * blocks);
    for (let b = 0; b < blocks; b++) square[b * blocks + b] += RIDGE * square[b * blocks + b] + 1e-12;
    const best = solve(square, rights.subarray(j * blocks, (j + 1) * blocks), blocks, 1);
    for (let b = 0; b < blocks; b++) fitted[b * columns + j] = roundScale(format, best[b]);
  }
  return { ...matrix, scales: fitted };
}

interface NormalEquations {
  /** C' R C of each column, blocks x blocks, of which the lower half is there: solving reads no more. */
  readonly squares: Float64Array;
  /** C' R w of each column, blocks. */
  readonly rights: Float64Array;
}

/**
 * @param towards R times the weights, rows x columns
 * @param seen R times the codes, block by block
 */
function normalEquations(
  { rows, columns, codes, blockLength }: QuantizedMatrix,
  towards: Float64Array,
  seen: readonly Float64Array[],
): NormalEquations {
  const blocks = seen.length;
  const squares = new Float64Array(columns * blocks * blocks);
  const rights = new Float64Array(columns * blocks);
  for (let i = 0; i < rows; i++) {
    const block = Math.floor(i / blockLength);
    const from = i * columns;
    for (let j = 0; j < columns; j++) rights[j * blocks + block] += codes[from + j] * towards[from + j];
    for (let b = 0; b <= block; b++) {
      const other = seen[b];
      const at = block * blocks + b;
      for (let j = 0; j < columns; j++) squares[j * blocks * blocks + at] += codes[from + j] * other[from + j];
    }
  }
  return { squares, rights };
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
