import type { QuantizedMatrix } from "../model/stages.ts";
import { product } from "../tensor/products.ts";

/**
 * Columns of no bits at all: their scales are zero, so nothing but a bit each is stored of them, and what they answered is
 * left to the bias and the low-rank path, which carries as many columns whole as it has ranks.
 */

/** The `count` columns whose answers vary least. @param metric covariance of the inputs, rows x rows */
export function weakestColumns(weights: Float32Array, columns: number, metric: Float64Array, count: number): number[] {
  const rows = weights.length / columns;
  const seen = product(metric, weights, rows, rows, columns);
  const variance = new Float64Array(columns);
  for (let i = 0; i < weights.length; i++) variance[i % columns] += weights[i] * seen[i];
  const order = Array.from({ length: columns }, (_, j) => j).sort((j, k) => variance[j] - variance[k]);
  return order.slice(0, count).sort((j, k) => j - k);
}

/** The matrix without what it holds in the columns of `pruned`. */
export function cleared(matrix: QuantizedMatrix, pruned: readonly number[]): QuantizedMatrix {
  if (pruned.length === 0) return matrix;
  return moved(matrix, matrix.columns, (to, from, row) => {
    const at = row * matrix.columns;
    to.set(from.subarray(at, at + matrix.columns), at);
    for (const j of pruned) to[at + j] = 0;
  });
}

export function prunedColumns({ scales, columns }: Pick<QuantizedMatrix, "scales" | "columns">): number[] {
  const live = new Uint8Array(columns);
  for (let i = 0; i < scales.length; i++) if (scales[i] !== 0) live[i % columns] = 1;
  return Array.from(live.keys()).filter((j) => live[j] === 0);
}

/** The matrix of the columns that are stored. */
export function compacted(matrix: QuantizedMatrix): QuantizedMatrix {
  const live = liveColumns(matrix.columns, prunedColumns(matrix));
  if (live.length === matrix.columns) return matrix;
  return moved(matrix, live.length, (to, from, row) => {
    for (const [k, j] of live.entries()) to[row * live.length + k] = from[row * matrix.columns + j];
  });
}

/** The matrix that `compacted` was made of, with codes of zero for what it left out. */
export function expanded(matrix: QuantizedMatrix, columns: number, pruned: readonly number[]): QuantizedMatrix {
  if (pruned.length === 0) return matrix;
  const live = liveColumns(columns, pruned);
  return moved(matrix, columns, (to, from, row) => {
    for (const [k, j] of live.entries()) to[row * columns + j] = from[row * live.length + k];
  });
}

function liveColumns(columns: number, pruned: readonly number[]): number[] {
  const gone = new Set(pruned);
  return Array.from({ length: columns }, (_, j) => j).filter((j) => !gone.has(j));
}

type Numbers = Int8Array | Float32Array;

/** With so many columns, rows of all that has columns made by `moveRow`. */
function moved(
  { rows, columns: before, codes, scales, blockLength, lowest }: QuantizedMatrix,
  columns: number,
  moveRow: (to: Numbers, from: Numbers, row: number) => void,
): QuantizedMatrix {
  const inColumns = <T extends Numbers>(from: T, to: T): T => {
    for (let row = 0; row < to.length / columns; row++) moveRow(to, from, row);
    return to;
  };
  const blocks = before === 0 ? Math.ceil(rows / blockLength) : scales.length / before;
  return {
    rows,
    columns,
    blockLength,
    codes: inColumns(codes, new Int8Array(rows * columns)),
    scales: inColumns(scales, new Float32Array(blocks * columns)),
    ...(lowest && { lowest: inColumns(lowest, new Int8Array(blocks * columns)) }),
  };
}
