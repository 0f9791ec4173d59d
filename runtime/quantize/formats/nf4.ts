import type { QuantFormat } from "../format.ts";
import { nearestIn, normalFloat } from "./code-book.ts";

/** The 16 NormalFloat levels of QLoRA (arXiv 2305.14314, appendix E): equal-mass quantiles of N(0, 1) with an exact zero. */
// biome-ignore format: one row per sign
export const NF4_LEVELS: readonly number[] = [
  -1, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334, -0.09105003625154495, 0,
  0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224, 0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1,
];

const codeBook = normalFloat(NF4_LEVELS, 63);

/** 4-bit codes, one bfloat16 scale per block along the input axis. */
export const nf4: QuantFormat = {
  name: "nf4",
  bits: 4,
  scaleBits: 16,
  blocked: true,
  codeBook,
  nearest: nearestIn(codeBook),
};
