/**
 * Dual precision quantization, W4A8 (arXiv 2505.14638; official code: intel/neural-compressor, gptq.py): weights are
 * 4-bit codes of a group, unsymmetric around zero, on a grid of 8 bits that the hardware multiplies by. A group's codes
 * are s4 (c - z) with c in 0 .. 15, so which values there are depends on the group.
 */
export interface Grouped {
  /** Step and least level of each group of `blockLength` rows, chosen before any code. */
  groups(weights: Float32Array, columns: number, blockLength: number): Groups;
  /** The code of level c - z in a group of this scale; a step of levels is `codesPerStep` codes long. */
  code(level: number, scale: number): number;
  readonly codesPerStep: number;
}

export interface Groups {
  /** ceil(rows / blockLength) x columns: what a code is worth. */
  readonly scales: Float32Array;
  /** Of each group: -z. */
  readonly lowest: Int8Array;
}

export const LEVELS = 16;

/** What one group is quantized to on the grid: value = step * (c - zero). */
export interface Group {
  readonly step: number;
  readonly zero: number;
}

/** Fractions of a group's range that are tried ("p = 1 - i / 100, i < 80"), and the norm of the error that decides. */
const FRACTIONS: readonly number[] = Array.from({ length: 80 }, (_, i) => 1 - i / 100);
const NORM = 2.4;

/**
 * The best of the groups that `groupOf` makes of ever smaller ranges of `values`, which are on the grid. Ranges include
 * zero: lo = min(., 0), hi = max(., 0).
 */
export function searchGroup(values: Float64Array, groupOf: (low: number, high: number) => Group): Group {
  const low = values.reduce((least, value) => Math.min(least, value), 0);
  const high = values.reduce((most, value) => Math.max(most, value), 0);
  let best = { group: groupOf(low, high), error: Number.POSITIVE_INFINITY };
  const tried = new Set<string>();
  for (const fraction of FRACTIONS) {
    const group = groupOf(low * fraction, high * fraction);
    const key = `${group.step} ${group.zero}`;
    if (tried.has(key)) continue;
    tried.add(key);
    const error = errorOf(values, group);
    if (error < best.error) best = { group, error };
  }
  return best.group;
}

function errorOf(values: Float64Array, { step, zero }: Group): number {
  if (step === 0) return 0;
  return values.reduce((sum, value) => {
    const code = Math.max(0, Math.min(LEVELS - 1, Math.round(value / step) + zero));
    return sum + Math.abs(value - step * (code - zero)) ** NORM;
  }, 0);
}

/**
 * All groups of a matrix.
 * @param onGrid a weight of a column in units of the grid
 * @param unit what a unit of the grid is worth in a column
 */
export function groupsOf(
  weights: Float32Array,
  columns: number,
  blockLength: number,
  grid: { readonly onGrid: (w: number, column: number) => number; readonly unit: (column: number) => number },
  groupOf: (low: number, high: number) => Group,
  codesPerStep: number,
): Groups {
  const rows = weights.length / columns;
  const blocks = Math.ceil(rows / blockLength);
  const scales = new Float32Array(blocks * columns);
  const lowest = new Int8Array(scales.length);
  for (let i = 0; i < scales.length; i++) {
    const [from, column] = [Math.floor(i / columns) * blockLength, i % columns];
    const length = Math.min(rows, from + blockLength) - from;
    const values = Float64Array.from({ length }, (_, k) => grid.onGrid(weights[(from + k) * columns + column], column));
    const { step, zero } = searchGroup(values, groupOf);
    scales[i] = (grid.unit(column) * step) / codesPerStep;
    lowest[i] = -zero;
  }
  return { scales, lowest };
}

export function columnPeaks(weights: Float32Array, columns: number): Float64Array {
  const peaks = new Float64Array(columns);
  for (const [i, w] of weights.entries()) peaks[i % columns] = Math.max(peaks[i % columns], Math.abs(w));
  return peaks;
}
