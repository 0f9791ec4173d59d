import { Depthwise3 } from "./descriptors";
import { constant, dot, first, flipped, signed } from "./dot";
import { scratch } from "./memory";
import { real, store8, toCodes } from "./storing";

/**
 * Kernels of 3 x 3 with narrow weights. The three rows under a row of windows are laid side by side in scratch, with
 * their border: four bytes per value, the last of no account. A column of the kernel then is one step of `dot`.
 */
export function depthwise3_narrow(d: Depthwise3): void {
  const outside = scratch(), strip = outside + ((d.rowBytes + 15) & ~15);
  fill(outside, d.border, d.rowBytes);
  fill(strip, flipped(d.border), d.left << 2);
  const rowBytes = d.rowBytes, rows = d.inputRows;
  let to: usize = 0;
  for (let row = 0, y = -d.above; row < d.rows; row++, y += d.stepY) {
    const upper = inside(y, rows) ? d.input + <usize>y * rowBytes : outside;
    const middle = inside(y + 1, rows) ? d.input + <usize>(y + 1) * rowBytes : outside;
    const lower = inside(y + 2, rows) ? d.input + <usize>(y + 2) * rowBytes : outside;
    interleave(d, strip, upper, middle, lower);
    multiply(d, strip, to);
    to += <usize>(d.width * d.target.columns);
  }
}

@inline
function inside(y: i32, rows: i32): bool {
  return <u32>y < <u32>rows;
}

/** Whole vectors, so up to one too far. */
function fill(to: usize, code: u32, bytes: usize): void {
  const codes = i8x16.splat(<i8>code);
  for (const end = to + bytes; to < end; to += 16) v128.store(to, codes);
}

/** Writes up to four vectors too far, so the border on the right comes last. */
function interleave(d: Depthwise3, strip: usize, upper: usize, middle: usize, lower: usize): void {
  const c = constant();
  let to = strip + (d.left << 2);
  const end = to + (d.rowBytes << 2);
  for (; to < end; upper += 16, middle += 16, lower += 16, to += 64) {
    const u = signed(v128.load(upper), c), m = signed(v128.load(middle), c), l = signed(v128.load(lower), c);
    const low = v128.shuffle<u8>(u, m, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    const high = v128.shuffle<u8>(u, m, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
    const lower0 = i16x8.extend_low_i8x16_u(l), lower1 = i16x8.extend_high_i8x16_u(l);
    v128.store(to, v128.shuffle<i16>(low, lower0, 0, 8, 1, 9, 2, 10, 3, 11));
    v128.store(to, v128.shuffle<i16>(low, lower0, 4, 12, 5, 13, 6, 14, 7, 15), 16);
    v128.store(to, v128.shuffle<i16>(high, lower1, 0, 8, 1, 9, 2, 10, 3, 11), 32);
    v128.store(to, v128.shuffle<i16>(high, lower1, 4, 12, 5, 13, 6, 14, 7, 15), 48);
  }
  fill(end, flipped(d.border), d.right << 2);
}

/** One row of windows, eight channels after eight. */
function multiply(d: Depthwise3, strip: usize, row: usize): void {
  const c = constant();
  const t = d.target;
  const width = d.width, step = d.stepX << 2, columns = <usize>t.columns, right = columns << 2;
  const lowest = f32x4.splat(t.lowest), highest = f32x4.splat(t.highest), output = t.output;
  let w = d.weights, starts = d.starts, scales = d.scales, bias = d.bias;
  for (let channel: usize = 0; channel < columns; channel += 8, w += 128, starts += 32, scales += 32, bias += 32) {
    const w0 = v128.load(w), w1 = v128.load(w, 16), w2 = v128.load(w, 32), w3 = v128.load(w, 48), w4 = v128.load(w, 64), w5 = v128.load(w, 80);
    const f0 = v128.load(scales), f1 = v128.load(scales, 16), b0 = v128.load(bias), b1 = v128.load(bias, 16);
    let at = strip + (channel << 2), to = row + channel;
    if (t.saturates && channel + 8 <= columns) {
      to += output;
      for (const end = at + <usize>width * step; at < end; at += step, to += columns) {
        const next = at + right, last = next + right;
        let sum = dot(first(starts, w0, v128.load(at), c), w2, v128.load(next), c);
        const low = real(dot(sum, w4, v128.load(last), c), f0, b0);
        sum = dot(first(starts + 16, w1, v128.load(at, 16), c), w3, v128.load(next, 16), c);
        v128.store64_lane(to, toCodes(low, real(dot(sum, w5, v128.load(last, 16), c), f1, b1)), 0);
      }
      continue;
    }
    for (let x = 0; x < width; x++, at += step, to += columns) {
      const next = at + right, last = next + right;
      let low = first(starts, w0, v128.load(at), c), high = first(starts + 16, w1, v128.load(at, 16), c);
      low = dot(low, w2, v128.load(next), c), high = dot(high, w3, v128.load(next, 16), c);
      low = dot(low, w4, v128.load(last), c), high = dot(high, w5, v128.load(last, 16), c);
      store8(t, to, <i32>(columns - channel), real(low, f0, b0), real(high, f1, b1), lowest, highest);
    }
  }
}
