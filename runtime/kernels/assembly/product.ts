import { Convolution, Product } from "./descriptors";
import { scratch } from "./memory";
import { dot, isNarrow } from "./dot";
import { real, store8 } from "./storing";

/**
 * Exact sums of u8 codes times i8 (or i16) weights for one or four windows and panels of eight columns, scaled block
 * by block in f32. A step is four neighbouring codes of each window: widened to 16 bits, each pair of them in all
 * lanes, against the pair's weights of eight columns. No lane is ever summed across.
 *
 * Scratch: the sums of a tile between blocks (4 x 8 or 1 x 32 f32), then the surrogate's z (4 x rank, in panels).
 */
export const Z: usize = 128;

@inline
function codes(at: usize): v128 {
  return i16x8.extend_low_i8x16_u(v128.load32_zero(at));
}
@inline
function firstPair(x: v128): v128 {
  return v128.shuffle<i32>(x, x, 0, 0, 0, 0);
}
@inline
function secondPair(x: v128): v128 {
  return v128.shuffle<i32>(x, x, 1, 1, 1, 1);
}

/** Vector `index` of a step's four: eight weights of type W, as 16 bits. */
@inline
function weights<W>(at: usize, index: usize): v128 {
  return sizeof<W>() == 1 ? v128.load8x8_s(at + index * 8) : v128.load(at + index * 16);
}

@inline
function add2(sum: v128, x: v128, w: v128, y: v128, v: v128): v128 {
  return i32x4.add(i32x4.add(sum, i32x4.dot_i16x8_s(x, w)), i32x4.dot_i16x8_s(y, v));
}

@inline
function addScaled(sum: v128, factor: v128, b: v128): v128 {
  return f32x4.add(sum, f32x4.mul(factor, b));
}

@inline
function store2(to: usize, low: v128, high: v128): void {
  v128.store(to, low);
  v128.store(to, high, 16);
}

/** Adds the residual's eight codes, if there is one, and stores. */
@inline
function finish(d: Convolution, position: i32, column: i32, low: v128, high: v128, lowest: v128, highest: v128): void {
  if (d.residual) {
    const codes = v128.load8x8_u(d.residual + <usize>(position * d.target.columns + column));
    const scale = f32x4.splat(d.residualScale);
    low = real(i32x4.extend_low_i16x8_s(codes), scale, low);
    high = real(i32x4.extend_high_i16x8_s(codes), scale, high);
  }
  store8(d.target, position, column, low, high, lowest, highest);
}

/**
 * Four windows from position `p` on and one panel. W = i8: the main product, with the surrogate added, stored as
 * output; the last position stands in for those beyond it. W = i16: the surrogate's z of the panel, left in scratch.
 */
export function product4<W>(d: Convolution, part: Product, panel: usize, p: i32, a0: usize, a1: usize, a2: usize, a3: usize): void {
  const y = scratch();
  let z = y + Z;
  const zPitch = <usize>d.side.panels << 5;
  let steps = part.steps;
  let w = part.weights + panel * part.panelBytes;
  let scales = part.scales + ((panel * part.blocks) << 5);
  let sums = part.bias + (panel << 5);
  let sumPitch: usize = 0;
  let blocks = part.blocks;
  while (true) {
    let s00 = i32x4.splat(0), s01 = s00, s10 = s00, s11 = s00, s20 = s00, s21 = s00, s30 = s00, s31 = s00;
    const end = steps + 4 + (load<usize>(steps) << 2);
    for (steps += 4; steps < end; steps += 4) {
      const k = load<usize>(steps);
      if (isNarrow<W>()) {
        const w0 = v128.load(w), w1 = v128.load(w, 16);
        w += 32;
        let x = v128.load32_splat(a0 + k);
        s00 = dot(s00, w0, x), s01 = dot(s01, w1, x);
        x = v128.load32_splat(a1 + k);
        s10 = dot(s10, w0, x), s11 = dot(s11, w1, x);
        x = v128.load32_splat(a2 + k);
        s20 = dot(s20, w0, x), s21 = dot(s21, w1, x);
        x = v128.load32_splat(a3 + k);
        s30 = dot(s30, w0, x), s31 = dot(s31, w1, x);
        continue;
      }
      const w0 = weights<W>(w, 0), w1 = weights<W>(w, 1), v0 = weights<W>(w, 2), v1 = weights<W>(w, 3);
      w += 32 * sizeof<W>();
      let q = codes(a0 + k);
      let x = firstPair(q), x2 = secondPair(q);
      s00 = add2(s00, x, w0, x2, v0);
      s01 = add2(s01, x, w1, x2, v1);
      q = codes(a1 + k);
      x = firstPair(q), x2 = secondPair(q);
      s10 = add2(s10, x, w0, x2, v0);
      s11 = add2(s11, x, w1, x2, v1);
      q = codes(a2 + k);
      x = firstPair(q), x2 = secondPair(q);
      s20 = add2(s20, x, w0, x2, v0);
      s21 = add2(s21, x, w1, x2, v1);
      q = codes(a3 + k);
      x = firstPair(q), x2 = secondPair(q);
      s30 = add2(s30, x, w0, x2, v0);
      s31 = add2(s31, x, w1, x2, v1);
    }
    const f0 = v128.load(scales), f1 = v128.load(scales, 16);
    scales += 32;
    let y00 = real(s00, f0, v128.load(sums)), y01 = real(s01, f1, v128.load(sums, 16));
    sums += sumPitch;
    let y10 = real(s10, f0, v128.load(sums)), y11 = real(s11, f1, v128.load(sums, 16));
    sums += sumPitch;
    let y20 = real(s20, f0, v128.load(sums)), y21 = real(s21, f1, v128.load(sums, 16));
    sums += sumPitch;
    let y30 = real(s30, f0, v128.load(sums)), y31 = real(s31, f1, v128.load(sums, 16));
    if (--blocks > 0) {
      sums = y;
      sumPitch = 32;
      store2(y, y00, y01);
      store2(y + 32, y10, y11);
      store2(y + 64, y20, y21);
      store2(y + 96, y30, y31);
      continue;
    }
    if (sizeof<W>() == 2) {
      z += panel << 5;
      store2(z, y00, y01);
      store2(z + zPitch, y10, y11);
      store2(z + 2 * zPitch, y20, y21);
      store2(z + 3 * zPitch, y30, y31);
      return;
    }
    let b = d.b + ((panel * d.rank) << 5);
    for (const bEnd = b + (d.rank << 5); b < bEnd; b += 32, z += 4) {
      const b0 = v128.load(b), b1 = v128.load(b, 16);
      let factor = v128.load32_splat(z);
      y00 = addScaled(y00, factor, b0), y01 = addScaled(y01, factor, b1);
      factor = v128.load32_splat(z + zPitch);
      y10 = addScaled(y10, factor, b0), y11 = addScaled(y11, factor, b1);
      factor = v128.load32_splat(z + 2 * zPitch);
      y20 = addScaled(y20, factor, b0), y21 = addScaled(y21, factor, b1);
      factor = v128.load32_splat(z + 3 * zPitch);
      y30 = addScaled(y30, factor, b0), y31 = addScaled(y31, factor, b1);
    }
    const last = d.window.positions - 1, column = <i32>panel << 3;
    const lowest = f32x4.splat(d.target.lowest), highest = f32x4.splat(d.target.highest);
    finish(d, p, column, y00, y01, lowest, highest);
    finish(d, min(p + 1, last), column, y10, y11, lowest, highest);
    finish(d, min(p + 2, last), column, y20, y21, lowest, highest);
    finish(d, min(p + 3, last), column, y30, y31, lowest, highest);
    return;
  }
}

/** The one window of a vector and one panel; W as above. */
export function product1<W>(d: Convolution, part: Product, panel: usize, a: usize): void {
  let steps = part.steps;
  let w = part.weights + panel * part.panelBytes;
  let scales = part.scales + ((panel * part.blocks) << 5);
  const bias = part.bias + (panel << 5);
  let low = v128.load(bias), high = v128.load(bias, 16);
  for (let block: usize = 0; block < part.blocks; block++) {
    let s0 = i32x4.splat(0), s1 = s0;
    const end = steps + 4 + (load<usize>(steps) << 2);
    for (steps += 4; steps < end; steps += 4) {
      if (isNarrow<W>()) {
        const x = v128.load32_splat(a + load<usize>(steps));
        s0 = dot(s0, v128.load(w), x), s1 = dot(s1, v128.load(w, 16), x);
        w += 32;
        continue;
      }
      const q = codes(a + load<usize>(steps));
      const x = firstPair(q), x2 = secondPair(q);
      s0 = add2(s0, x, weights<W>(w, 0), x2, weights<W>(w, 2));
      s1 = add2(s1, x, weights<W>(w, 1), x2, weights<W>(w, 3));
      w += 32 * sizeof<W>();
    }
    low = real(s0, v128.load(scales), low);
    high = real(s1, v128.load(scales, 16), high);
    scales += 32;
  }
  if (sizeof<W>() == 2) store2(scratch() + Z + (panel << 5), low, high);
  else finish1(d, panel, low, high);
}

/** The one window of a vector and 32 columns from `panel` on: four panels share the work on the codes. */
export function product1x32<W>(d: Convolution, panel: usize, a: usize): void {
  const part = d.main;
  const y = scratch();
  let steps = part.steps;
  let w = part.weights + panel * part.panelBytes;
  let w1 = w + part.panelBytes, w2 = w1 + part.panelBytes, w3 = w2 + part.panelBytes;
  const scalePitch = part.blocks << 5;
  let scales = part.scales + panel * scalePitch;
  let sums = part.bias + (panel << 5);
  for (let block: usize = 0; block < part.blocks; block++) {
    let s00 = i32x4.splat(0), s01 = s00, s10 = s00, s11 = s00, s20 = s00, s21 = s00, s30 = s00, s31 = s00;
    const end = steps + 4 + (load<usize>(steps) << 2);
    for (steps += 4; steps < end; steps += 4) {
      if (isNarrow<W>()) {
        const x = v128.load32_splat(a + load<usize>(steps));
        s00 = dot(s00, v128.load(w), x), s01 = dot(s01, v128.load(w, 16), x);
        s10 = dot(s10, v128.load(w1), x), s11 = dot(s11, v128.load(w1, 16), x);
        s20 = dot(s20, v128.load(w2), x), s21 = dot(s21, v128.load(w2, 16), x);
        s30 = dot(s30, v128.load(w3), x), s31 = dot(s31, v128.load(w3, 16), x);
        w += 32;
        w1 += 32;
        w2 += 32;
        w3 += 32;
        continue;
      }
      const q = codes(a + load<usize>(steps));
      const x = firstPair(q), x2 = secondPair(q);
      s00 = add2(s00, x, weights<i8>(w, 0), x2, weights<i8>(w, 2));
      s01 = add2(s01, x, weights<i8>(w, 1), x2, weights<i8>(w, 3));
      s10 = add2(s10, x, weights<i8>(w1, 0), x2, weights<i8>(w1, 2));
      s11 = add2(s11, x, weights<i8>(w1, 1), x2, weights<i8>(w1, 3));
      s20 = add2(s20, x, weights<i8>(w2, 0), x2, weights<i8>(w2, 2));
      s21 = add2(s21, x, weights<i8>(w2, 1), x2, weights<i8>(w2, 3));
      s30 = add2(s30, x, weights<i8>(w3, 0), x2, weights<i8>(w3, 2));
      s31 = add2(s31, x, weights<i8>(w3, 1), x2, weights<i8>(w3, 3));
      w += 32;
      w1 += 32;
      w2 += 32;
      w3 += 32;
    }
    let f = scales;
    store2(y, real(s00, v128.load(f), v128.load(sums)), real(s01, v128.load(f, 16), v128.load(sums, 16)));
    f += scalePitch;
    store2(y + 32, real(s10, v128.load(f), v128.load(sums, 32)), real(s11, v128.load(f, 16), v128.load(sums, 48)));
    f += scalePitch;
    store2(y + 64, real(s20, v128.load(f), v128.load(sums, 64)), real(s21, v128.load(f, 16), v128.load(sums, 80)));
    f += scalePitch;
    store2(y + 96, real(s30, v128.load(f), v128.load(sums, 96)), real(s31, v128.load(f, 16), v128.load(sums, 112)));
    scales += 32;
    sums = y;
  }
  for (let i: usize = 0; i < 4; i++) finish1(d, panel + i, v128.load(y + (i << 5)), v128.load(y + (i << 5), 16));
}

@inline
function finish1(d: Convolution, panel: usize, low: v128, high: v128): void {
  let z = scratch() + Z;
  let b = d.b + ((panel * d.rank) << 5);
  for (const end = b + (d.rank << 5); b < end; b += 32, z += 4) {
    const factor = v128.load32_splat(z);
    low = addScaled(low, factor, v128.load(b));
    high = addScaled(high, factor, v128.load(b, 16));
  }
  finish(d, 0, <i32>panel << 3, low, high, f32x4.splat(d.target.lowest), f32x4.splat(d.target.highest));
}
