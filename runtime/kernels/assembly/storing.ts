import { Target } from "./descriptors";
import { magic, spare } from "./memory";

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

@inline
export function storePair(to: usize, low: v128, high: v128): void {
  v128.store(to, low);
  v128.store(to, high, 16);
}


/** The first `count` (up to 16) bytes of v. */
@inline
export function storeBytes(to: usize, v: v128, count: i32): void {
  if (count >= 16) {
    v128.store(to, v);
    return;
  }
  v128.store(spare, v);
  copy(to, count);
}

/** The first `count` (up to 7) of eight floats. */
@inline
export function storeFloats(to: usize, low: v128, high: v128, count: i32): void {
  v128.store(spare, low);
  v128.store(spare, high, 16);
  copy(to, count << 2);
}

/** No function that is called takes vectors: V8's revectorizer (compilation.ts) ends the process when one does. */
function copy(to: usize, count: i32): void {
  for (let i: usize = 0; i < <usize>count; i++) store<u8>(to + i, load<u8>(spare + i));
}

/** Eight values (fewer if fewer are `left` of the position) from number `at` of the output on, clamped and in its type. */
@inline
export function store8(t: Target, at: usize, left: i32, low: v128, high: v128, lowest: v128, highest: v128): void {
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
