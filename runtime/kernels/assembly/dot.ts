import { ones, signs } from "./memory";

// FAMILY comes from the command line that compiles (build.sh): 0 plain, 1 dot2, 2 dot4; family.ts says what they are.

/** Whether weights are multiplied four at a time. As a type, u8 stands for signed weights that are narrow. */
@inline
export function isNarrow<W>(): bool {
  return FAMILY > 0 && sizeof<W>() == 1 && !isSigned<W>();
}

/** The constant that the functions below want in a register all along: ones for dot2, sign bits for dot4. */
@inline
export function constant(): v128 {
  return FAMILY == 2 ? signs() : FAMILY == 1 ? ones() : i32x4.splat(0);
}

/** Codes as `dot` takes them: dot4 wants them signed, 128 less. */
@inline
export function signed(codes: v128, c: v128): v128 {
  return FAMILY == 2 ? v128.xor(codes, c) : codes;
}

/** As `signed`, one code. */
@inline
export function flipped(code: u32): u32 {
  return FAMILY == 2 ? code ^ 128 : code;
}

/** Four codes in all lanes. */
@inline
export function four(at: usize, c: v128): v128 {
  return signed(v128.load32_splat(at), c);
}

/** The four codes after them. */
@inline
export function nextFour(at: usize, c: v128): v128 {
  return signed(v128.load32_splat(at, 4), c);
}

/** Eight codes twice. */
@inline
export function eight(at: usize, c: v128): v128 {
  return signed(v128.load64_splat(at), c);
}

/** What sums begin with: 0, or for dot4 what the signed codes lack, 128 times the weights. */
@inline
export function begin<W>(starts: usize): v128 {
  return FAMILY == 2 && isNarrow<W>() ? v128.load(starts) : i32x4.splat(0);
}

/**
 * Adds w[4 i .. 4 i + 3] . x[4 i .. 4 i + 3] to lane i: w signed, x from `four`. The relaxed instructions may saturate
 * the sum of a pair to 16 bits, which narrow weights never need (wasm-packing.ts); whether they take x for signed or
 * not depends on the machine and is tried before they are used (family.ts).
 */
@inline
export function dot(sum: v128, w: v128, x: v128, c: v128): v128 {
  if (FAMILY == 2) return i32x4.relaxed_dot_i8x16_i7x16_add_s(w, x, sum);
  if (FAMILY == 1) return i32x4.add(sum, i32x4.dot_i16x8_s(v128.relaxed_dot<i16>(w, x), c));
  return sum;
}

/** As `dot`, to what a sum begins with. */
@inline
export function first(starts: usize, w: v128, x: v128, c: v128): v128 {
  if (FAMILY == 1) return i32x4.dot_i16x8_s(v128.relaxed_dot<i16>(w, x), c);
  return dot(v128.load(starts), w, x, c);
}
