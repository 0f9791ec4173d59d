import { Depthwise } from "./descriptors";
import { imageOf, windowAt } from "./memory";
import { real, store8 } from "./storing";

/** Two kernel elements of eight channels, interleaved channel by channel: (x, y) pairs for the dot product. */
@inline
function pairsLow(x: v128, y: v128): v128 {
  return v128.shuffle<i16>(x, y, 0, 8, 1, 9, 2, 10, 3, 11);
}
@inline
function pairsHigh(x: v128, y: v128): v128 {
  return v128.shuffle<i16>(x, y, 4, 12, 5, 13, 6, 14, 7, 15);
}

@inline
function add1(sum: v128, x: v128, w: v128): v128 {
  return i32x4.add(sum, i32x4.dot_i16x8_s(x, w));
}

/** Four windows, eight channels at a time; the last window stands in for those beyond it. */
export function depthwise(d: Depthwise): void {
  const window = d.window, t = d.target;
  const image = imageOf(window);
  const last = window.positions - 1;
  const lowest = f32x4.splat(t.lowest), highest = f32x4.splat(t.highest);
  for (let p = 0; p <= last; p += 4) {
    let a0 = windowAt(window, image, p), a1 = windowAt(window, image, p + 1);
    let a2 = windowAt(window, image, p + 2), a3 = windowAt(window, image, p + 3);
    const p1 = min(p + 1, last), p2 = min(p + 2, last), p3 = min(p + 3, last);
    let w = d.weights, scales = d.scales, bias = d.bias;
    for (let channel = 0; channel < t.columns; channel += 8) {
      let s00 = i32x4.splat(0), s01 = s00, s10 = s00, s11 = s00, s20 = s00, s21 = s00, s30 = s00, s31 = s00;
      let pair = d.pairs;
      const end = pair + (<usize>d.pairCount << 3);
      for (; pair < end; pair += 8) {
        const j = load<usize>(pair), k = load<usize>(pair, 4);
        const w0 = v128.load(w), w1 = v128.load(w, 16);
        w += 32;
        let x = v128.load8x8_u(a0 + j), y = v128.load8x8_u(a0 + k);
        s00 = add1(s00, pairsLow(x, y), w0);
        s01 = add1(s01, pairsHigh(x, y), w1);
        x = v128.load8x8_u(a1 + j), y = v128.load8x8_u(a1 + k);
        s10 = add1(s10, pairsLow(x, y), w0);
        s11 = add1(s11, pairsHigh(x, y), w1);
        x = v128.load8x8_u(a2 + j), y = v128.load8x8_u(a2 + k);
        s20 = add1(s20, pairsLow(x, y), w0);
        s21 = add1(s21, pairsHigh(x, y), w1);
        x = v128.load8x8_u(a3 + j), y = v128.load8x8_u(a3 + k);
        s30 = add1(s30, pairsLow(x, y), w0);
        s31 = add1(s31, pairsHigh(x, y), w1);
      }
      const f0 = v128.load(scales), f1 = v128.load(scales, 16), b0 = v128.load(bias), b1 = v128.load(bias, 16);
      store8(t, <usize>(p * t.columns + channel), t.columns - channel, real(s00, f0, b0), real(s01, f1, b1), lowest, highest);
      store8(t, <usize>(p1 * t.columns + channel), t.columns - channel, real(s10, f0, b0), real(s11, f1, b1), lowest, highest);
      store8(t, <usize>(p2 * t.columns + channel), t.columns - channel, real(s20, f0, b0), real(s21, f1, b1), lowest, highest);
      store8(t, <usize>(p3 * t.columns + channel), t.columns - channel, real(s30, f0, b0), real(s31, f1, b1), lowest, highest);
      scales += 32;
      bias += 32;
      a0 += 8;
      a1 += 8;
      a2 += 8;
      a3 += 8;
    }
  }
}
