import type { QuantFormat } from "../format.ts";

/** Minus one, zero and one (arXiv 1605.04711), stored in 2 bits, one bfloat16 scale per block along the input axis. */
export const ternary: QuantFormat = {
  name: "ternary",
  bits: 2,
  scaleBits: 16,
  blocked: true,
  codeBook: Int8Array.of(-1, 0, 1),
  nearest: (x) => Math.max(-1, Math.min(1, Math.round(x))),
};
