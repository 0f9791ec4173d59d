import { ones } from "./memory";

// FAMILY comes from the command line that compiles (package.json): 0 plain, 1 dot2, 2 dot4.

/** Whether weights are multiplied four at a time. As a type, u8 stands for signed weights that are narrow. */
@inline
export function isNarrow<W>(): bool {
  return FAMILY > 0 && sizeof<W>() == 1 && !isSigned<W>();
}

/**
 * Adds w[4 i .. 4 i + 3] . x[4 i .. 4 i + 3] to lane i: w signed, x codes of 0 .. 255. The relaxed instructions may
 * saturate the sum of a pair to 16 bits, which narrow weights never need (wasm-packing.ts), and may take x for signed,
 * which is tried before they are used (family.ts).
 */
@inline
export function dot(sum: v128, w: v128, x: v128): v128 {
  if (FAMILY == 2) return i32x4.relaxed_dot_i8x16_i7x16_add_s(w, x, sum);
  if (FAMILY == 1) return i32x4.add(sum, i32x4.dot_i16x8_s(v128.relaxed_dot<i16>(w, x), ones()));
  return sum;
}
