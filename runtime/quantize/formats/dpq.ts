import type { QuantFormat } from "../format.ts";
import { columnPeaks, type Group, groupsOf, LEVELS } from "../grouped.ts";
import { wholeNumbers } from "./code-book.ts";

/** Greatest code on the grid of 8 bits: with a step more at both ends, levels still fit int8. */
const LARGEST = 119;

/** s4 = ceil((hi - lo) / 15), whole and at most 16, z = round(-lo / s4). */
export function integerGroup(low: number, high: number): Group {
  const step = Math.ceil((high - low) / (LEVELS - 1));
  return { step, zero: step === 0 ? 0 : Math.round(-low / step) };
}

/**
 * Dual precision quantization for integer hardware (grouped.ts): the grid is int8 with one f32 scale per channel, the
 * steps of the groups are whole numbers of it, so a channel can be summed up in integers without any scale per block.
 */
export const dpq: QuantFormat = {
  name: "dpq",
  bits: 4,
  // s4 - 1 and z, 4 bits each; the scale of a channel is counted by storedBytes.
  scaleBits: 8,
  columnBits: 32,
  blocked: true,
  codeBook: wholeNumbers(1 - LEVELS, LEVELS - 1),
  nearest: Math.round,
  grouped: {
    codesPerStep: 1,
    code: (level) => level,
    groups(weights, columns, blockLength) {
      const units = columnPeaks(weights, columns).map((peak) => peak / LARGEST);
      const onGrid = (w: number, column: number): number => (units[column] === 0 ? 0 : Math.round(w / units[column]));
      return groupsOf(weights, columns, blockLength, { onGrid, unit: (column) => units[column] }, integerGroup, 1);
    },
  },
};
