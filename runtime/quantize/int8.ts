import type { QuantFormat } from "./format.ts";

/** Symmetric, one f32 scale per output channel: the format that every engine knows. */
export const int8: QuantFormat = {
  name: "int8",
  bits: 8,
  scaleBits: 32,
  blocked: false,
  codeBook: Int8Array.from({ length: 255 }, (_, i) => i - 127),
  nearest: (x) => Math.max(-127, Math.min(127, Math.round(x))),
};
