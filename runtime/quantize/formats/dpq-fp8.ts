import type { QuantFormat } from "../format.ts";
import { columnPeaks, type Group, groupsOf, LEVELS } from "../grouped.ts";
import { wholeNumbers } from "./code-book.ts";

/** FS = 240 is the greatest E4M3 number of the hardware that the paper is for, Rp = FS - FS / 15 what it uses. */
const FULL_SCALE = 240;
const LARGEST = FULL_SCALE - FULL_SCALE / 15;
/** The least normal number, and the distance of the numbers below it. */
const LEAST_NORMAL = 2 ** -6;
const SUBNORMAL_STEP = 2 ** -9;
/** A level's code is in quarters of a step: an FP8 value to within an eighth of one. */
const CODES_PER_STEP = 4;

/** The E4M3 number nearest to x, of two equally near ones the even one: one sign, 4 exponent and 3 mantissa bits. */
export function e4m3(x: number): number {
  if (Math.abs(x) < LEAST_NORMAL) return evenly(x / SUBNORMAL_STEP) * SUBNORMAL_STEP;
  return Math.max(-FULL_SCALE, Math.min(FULL_SCALE, threeBits(x)));
}

/** s8 = 2^ceil(log2(max |W| / Rp)), at least 1 / (512 Rp). */
export function tensorScale(largest: number): number {
  return Math.max(1 / (512 * LARGEST), 2 ** Math.ceil(Math.log2(largest / LARGEST)));
}

/** s4 = (hi - lo) / 15, z = round(-lo / s4). */
export function realGroup(low: number, high: number): Group {
  const step = (high - low) / (LEVELS - 1);
  return { step, zero: step === 0 ? 0 : Math.round(-low / step) };
}

/**
 * Dual precision quantization as published (grouped.ts): the grid is FP8 with one scale, a power of two, per tensor, and
 * each level s4 (c - z) is rounded to it. That does not depend on the power of two, so a code follows from the product
 * s8 s4 alone (weights below 2^-14 of the largest, where E4M3 has fewer digits, are rounded a little too well). For FP8
 * hardware, whose weights these are; the kernels here multiply by whole numbers.
 */
export const dpqFp8: QuantFormat = {
  name: "dpq-fp8",
  bits: 4,
  // s4 as bfloat16 and z.
  scaleBits: 20,
  blocked: true,
  codeBook: wholeNumbers(-CODES_PER_STEP * LEVELS, CODES_PER_STEP * LEVELS),
  nearest: Math.round,
  grouped: {
    codesPerStep: CODES_PER_STEP,
    code: (level, scale) => (scale === 0 ? 0 : Math.round(threeBits(CODES_PER_STEP * scale * level) / scale)),
    groups(weights, columns, blockLength) {
      const s8 = tensorScale(Math.max(...columnPeaks(weights, columns)));
      const onGrid = (w: number): number => e4m3(Math.max(-LARGEST, Math.min(LARGEST, w / s8)));
      return groupsOf(weights, columns, blockLength, { onGrid, unit: () => s8 }, realGroup, CODES_PER_STEP);
    },
  },
};

/** To one bit and three more. */
function threeBits(x: number): number {
  if (x === 0) return 0;
  const unit = 2 ** (Math.floor(Math.log2(Math.abs(x))) - 3);
  return evenly(x / unit) * unit;
}

function evenly(x: number): number {
  const down = Math.floor(x);
  const rest = x - down;
  if (rest !== 0.5) return Math.round(x);
  return down % 2 === 0 ? down : down + 1;
}
