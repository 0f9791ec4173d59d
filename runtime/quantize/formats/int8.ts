import { NARROW, type QuantFormat } from "../format.ts";
import { wholeNumbers } from "./code-book.ts";

/**
 * Symmetric, one f32 scale per output channel, stored in 8 bits. Only codes up to NARROW are used; weights that are
 * rounded to cancel each other's errors (gptq.ts) lose nothing by that.
 */
export const int8: QuantFormat = {
  name: "int8",
  bits: 8,
  scaleBits: 32,
  blocked: false,
  codeBook: wholeNumbers(-NARROW, NARROW),
  nearest: (x) => Math.max(-NARROW, Math.min(NARROW, Math.round(x))),
};
