import { Conversion, Elementwise } from "./descriptors";
import { clamped, store8, storeBytes, storeFloats, toCodes } from "./storing";

@inline
function low(codes: v128): v128 {
  return f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_s(codes));
}
@inline
function high(codes: v128): v128 {
  return f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_s(codes));
}

@inline
function sum(a: v128, b: v128, aScale: v128, bScale: v128, bias: v128): v128 {
  return f32x4.add(f32x4.add(f32x4.mul(a, aScale), f32x4.mul(b, bScale)), bias);
}

export function add(d: Elementwise): void {
  const t = d.target;
  const lowest = f32x4.splat(t.lowest), highest = f32x4.splat(t.highest);
  const aScale = f32x4.splat(d.aScale), bScale = f32x4.splat(d.bScale), bias = f32x4.splat(d.bias);
  const b = d.b;
  let a = d.a;
  for (let row = 0; row < d.rows; row++) {
    for (let column = 0; column < t.columns; column += 8) {
      const x = v128.load8x8_u(a + <usize>column), y = v128.load8x8_u(b + <usize>column);
      store8(t, <usize>(row * t.columns + column), t.columns - column, sum(low(x), low(y), aScale, bScale, bias), sum(high(x), high(y), aScale, bScale, bias), lowest, highest);
    }
    a += <usize>t.columns;
  }
}

@inline
function product(a: v128, b: v128, aZero: v128, bZero: v128, scale: v128, bias: v128): v128 {
  return f32x4.add(f32x4.mul(f32x4.mul(f32x4.sub(a, aZero), f32x4.sub(b, bZero)), scale), bias);
}

export function mul(d: Elementwise): void {
  const t = d.target;
  const lowest = f32x4.splat(t.lowest), highest = f32x4.splat(t.highest);
  const aZero = f32x4.splat(d.aZero), bZero = f32x4.splat(d.bZero), scale = f32x4.splat(d.aScale), bias = f32x4.splat(d.bias);
  const b = d.b;
  let a = d.a;
  for (let row = 0; row < d.rows; row++) {
    for (let column = 0; column < t.columns; column += 8) {
      const x = v128.load8x8_u(a + <usize>column), y = v128.load8x8_u(b + <usize>column);
      store8(t, <usize>(row * t.columns + column), t.columns - column, product(low(x), low(y), aZero, bZero, scale, bias), product(high(x), high(y), aZero, bZero, scale, bias), lowest, highest);
    }
    a += <usize>t.columns;
  }
}

/** Loaded at once, because V8 of Node 20 would spread a number anew in every turn of a loop. */
@inline
function splat(d: Conversion, offset: usize): v128 {
  return v128.load32_splat(changetype<usize>(d) + offset);
}

export function quantize(d: Conversion): void {
  const scale = splat(d, offsetof<Conversion>("scale")), zero = splat(d, offsetof<Conversion>("zero"));
  const lowest = f32x4.splat(0), highest = splat(d, offsetof<Conversion>("highest"));
  const length = d.length;
  let from = d.input, to = d.output;
  for (let i: usize = 0; i < length; i += 8, from += 32, to += 8) {
    const x = clamped(f32x4.add(f32x4.mul(v128.load(from), scale), zero), lowest, highest);
    const y = clamped(f32x4.add(f32x4.mul(v128.load(from, 16), scale), zero), lowest, highest);
    if (length - i >= 8) v128.store64_lane(to, toCodes(x, y), 0);
    else storeBytes(to, toCodes(x, y), <i32>(length - i));
  }
}

export function dequantize(d: Conversion): void {
  const scale = f32x4.splat(d.scale), zero = f32x4.splat(d.zero);
  for (let i: usize = 0; i < d.length; i += 8) {
    const codes = v128.load8x8_u(d.input + i);
    const x = f32x4.mul(f32x4.sub(low(codes), zero), scale), y = f32x4.mul(f32x4.sub(high(codes), zero), scale);
    const to = d.output + (i << 2);
    if (d.length - i >= 8) {
      v128.store(to, x);
      v128.store(to, y, 16);
    } else storeFloats(to, x, y, <i32>(d.length - i));
  }
}

export function lookup(d: Conversion): void {
  for (let i: usize = 0; i < d.length; i++) store<u8>(d.output + i, load<u8>(d.table + load<u8>(d.input + i)));
}
