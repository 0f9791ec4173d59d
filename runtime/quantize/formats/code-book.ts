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

/** nearestOf for a table of whole numbers: one look instead of a search. Who only serves never looks. */
export function nearestIn(table: Int8Array): (x: number) => number {
  let nearest: Int8Array | undefined;
  const first = 2 * table[0];
  return (x) => {
    nearest ??= nearestByHalves(table);
    const at = Math.floor(2 * x) - first;
    return nearest[at < 0 ? 0 : at < nearest.length ? at : nearest.length - 1];
  };
}

/**
 * The value nearest to x at floor(2 x) - 2 table[0]: between whole numbers the nearest one changes at halves only. One look
 * is a third of the time of a search, and searching scales is most of the time of rounding.
 */
export function nearestByHalves(table: Int8Array): Int8Array {
  const [low, high] = [table[0], table[table.length - 1]];
  return Int8Array.from({ length: 2 * (high - low) + 1 }, (_, i) => nearestOf(table, low + i / 2));
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
