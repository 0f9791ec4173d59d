import type { QuantFormat } from "../format.ts";
import { wholeNumbers } from "./code-book.ts";

/** All 8 two's complement numbers of 3 bits, one bfloat16 scale per block along the input axis. */
export const int3: QuantFormat = {
  name: "int3",
  bits: 3,
  scaleBits: 16,
  blocked: true,
  codeBook: wholeNumbers(-4, 3),
  nearest: (x) => Math.max(-4, Math.min(3, Math.round(x))),
};
