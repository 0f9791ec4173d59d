// Wide weights: codes are widened to 16 bits and multiplied in pairs, each pair in all lanes.

@inline
export function codes(at: usize): v128 {
  return i16x8.extend_low_i8x16_u(v128.load32_zero(at));
}
@inline
export function firstPair(x: v128): v128 {
  return v128.shuffle<i32>(x, x, 0, 0, 0, 0);
}
@inline
export function secondPair(x: v128): v128 {
  return v128.shuffle<i32>(x, x, 1, 1, 1, 1);
}
@inline
export function add2(sum: v128, x: v128, w: v128, y: v128, v: v128): v128 {
  return i32x4.add(i32x4.add(sum, i32x4.dot_i16x8_s(x, w)), i32x4.dot_i16x8_s(y, v));
}
