import type { QuantFormat } from "../format.ts";
import { wholeNumbers } from "./code-book.ts";

/** All 16 two's complement numbers of 4 bits, one bfloat16 scale per block along the input axis. */
export const int4: QuantFormat = {
  name: "int4",
  bits: 4,
  scaleBits: 16,
  blocked: true,
  codeBook: wholeNumbers(-8, 7),
  nearest: (x) => Math.max(-8, Math.min(7, Math.round(x))),
};
