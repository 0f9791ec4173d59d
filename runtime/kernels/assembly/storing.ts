import { Target } from "./descriptors";
import { magic } from "./memory";

/** Of two values: the first bound wins over NaN, as in rounding.ts. */
@inline
export function clamped(v: v128, lowest: v128, highest: v128): v128 {
  return f32x4.pmin(highest, f32x4.pmax(lowest, v));
}

/** bias + scale * sum, the sum exact. */
@inline
export function real(sum: v128, scale: v128, bias: v128): v128 {
  return f32x4.add(bias, f32x4.mul(f32x4.convert_i32x4_s(sum), scale));
}

/** Eight values of 0 .. 255 to the nearest codes, halves to even, in the low eight bytes. */
@inline
export function toCodes(low: v128, high: v128): v128 {
  const m = magic();
  const pairs = i16x8.narrow_i32x4_s(i32x4.sub(f32x4.add(low, m), m), i32x4.sub(f32x4.add(high, m), m));
  return i8x16.narrow_i16x8_u(pairs, pairs);
}

/** The first `count` (up to 16) bytes of v. */
export function storeBytes(to: usize, v: v128, count: i32): void {
  if (count == 16) {
    v128.store(to, v);
    return;
  }
  if (count & 8) {
    v128.store64_lane(to, v, 0);
    v = v128.shuffle<i8>(v, v, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7);
    to += 8;
  }
  if (count & 4) {
    v128.store32_lane(to, v, 0);
    v = v128.shr<u64>(v, 32);
    to += 4;
  }
  if (count & 2) {
    v128.store16_lane(to, v, 0);
    v = v128.shr<u64>(v, 16);
    to += 2;
  }
  if (count & 1) v128.store8_lane(to, v, 0);
}

/** The first `count` (1 .. 7) of eight floats. */
export function storeFloats(to: usize, low: v128, high: v128, count: i32): void {
  if (count >= 4) {
    v128.store(to, low);
    to += 16;
    low = high;
  }
  storeBytes(to, low, (count & 3) << 2);
}

/** Eight values of one position from `column` on (fewer at the end of it), clamped and in the output's type. */
@inline
export function store8(t: Target, position: i32, column: i32, low: v128, high: v128, lowest: v128, highest: v128): void {
  const at = <usize>(position * t.columns + column);
  const left = t.columns - column;
  low = clamped(low, lowest, highest);
  high = clamped(high, lowest, highest);
  if (t.codes) {
    const codes = toCodes(low, high);
    if (left >= 8) v128.store64_lane(t.output + at, codes, 0);
    else storeBytes(t.output + at, codes, left);
  } else {
    const to = t.output + (at << 2);
    if (left >= 8) {
      v128.store(to, low);
      v128.store(to, high, 16);
    } else storeFloats(to, low, high, left);
  }
}
