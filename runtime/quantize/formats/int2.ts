import type { QuantFormat } from "../format.ts";

/** Four levels at equal distances around zero, which is none of them: -3, -1, 1 and 3 halves of a step. */
export const int2: QuantFormat = {
  name: "int2",
  bits: 2,
  scaleBits: 16,
  blocked: true,
  codeBook: Int8Array.of(-3, -1, 1, 3),
  nearest: (x) => Math.max(-3, Math.min(3, 2 * Math.floor(x / 2) + 1)),
};
