import type { QuantFormat } from "../format.ts";
import { nearestIn } from "./code-book.ts";

const codeBook = Int8Array.of(-64, -32, -16, -8, -4, -2, -1, 0, 1, 2, 4, 8, 16, 32, 64);

/** Powers of two: for hardware that shifts instead of multiplying (DenseShift, arXiv 2208.09708). 4-bit codes. */
export const pot4: QuantFormat = {
  name: "pot4",
  bits: 4,
  scaleBits: 16,
  blocked: true,
  codeBook,
  nearest: nearestIn(codeBook),
};
