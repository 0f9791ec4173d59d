/** The value of an ascending table nearest to `x`, by binary search; the upper one of two equally near. */
export function nearestOf(table: Int8Array, x: number): number {
  let low = 0;
  let high = table.length - 1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (table[middle] <= x) low = middle;
    else high = middle;
  }
  return x - table[low] < table[high] - x ? table[low] : table[high];
}

/** Of the scales up to NARROW (format.ts) the one with the best answers, by a little (keywords, images). */
const LARGEST = 60;

/** The levels of a NormalFloat format as integers, so that sums of products are exact: off by at most 0.8 % of the greatest. */
export function normalFloat(levels: readonly number[]): Int8Array {
  return Int8Array.from(levels, (level) => Math.round(level * LARGEST));
}

export function wholeNumbers(low: number, high: number): Int8Array {
  return Int8Array.from({ length: high - low + 1 }, (_, i) => low + i);
}
