import { Product, Window } from "./descriptors";
import { begin, constant, dot, four, isNarrow, nextFour } from "./dot";
import { values, windowAt } from "./memory";
import { add2, codes, firstPair, secondPair } from "./pairs";
import { Z_PITCH } from "./projection";
import { clamped, real, store8, storePair, toCodes } from "./storing";

/**
 * Exact sums of u8 codes times i8 weights for one or four windows and panels of eight columns, scaled block by block
 * in f32. A step is four neighbouring codes of each window against their weights in eight columns; a run is pairs of
 * steps whose codes follow each other. No lane is ever summed across.
 *
 * The `break`s in the innermost loops are never taken, as no address is 0. They part what is computed, because V8 of
 * Node 20 puts all loads of a part first, and for a whole step that takes more than the 15 registers there are.
 */

@inline
function addScaled(sum: v128, factor: v128, b: v128): v128 {
  return f32x4.add(sum, f32x4.mul(factor, b));
}

/** The residual's codes times its scale. */
@inline
function addLow(sum: v128, codes: v128, scale: v128): v128 {
  return real(i32x4.extend_low_i16x8_s(codes), scale, sum);
}
@inline
function addHigh(sum: v128, codes: v128, scale: v128): v128 {
  return real(i32x4.extend_high_i16x8_s(codes), scale, sum);
}

/** `count` windows from number `from` on, four at a time, in all panels. Their outputs are number `to` and the next. */
export function product4<W>(d: Product, window: Window, image: usize, from: i32, count: i32, to: i32): void {
  const c = constant();
  const panels = <i32>d.panels, blocks = d.blocks, rank = d.rank;
  const columns = d.target.columns, last = to + count - 1, width = window.width, step = window.stepX;
  const simple = d.target.codes && d.target.saturates, output = d.target.output;
  const residual = d.residual, residualScale = f32x4.splat(d.residualScale);
  // Of the second to the fourth window, from the first one's on.
  let o1 = columns, o2 = columns << 1, o3 = columns * 3;
  let x = from % width;
  let a0 = windowAt(window, image, from);
  let zs = d.z;
  for (; to <= last; to += 4, zs += 16) {
    let a1 = a0 + step, a2 = a1 + step, a3 = a2 + step, next = a3 + step;
    from += 4;
    x += 4;
    if (x >= width) {
      if (x > width) {
        a1 = windowAt(window, image, from - 3);
        a2 = windowAt(window, image, from - 2);
        a3 = windowAt(window, image, from - 1);
      }
      next = windowAt(window, image, from);
      x = from % width;
    }
    if (to + 3 > last) o3 = (last - to) * columns, o2 = min(o2, o3), o1 = min(o1, o3);
    let w = d.weights, starts = d.starts, scales = d.scales, bias = d.bias, b = d.b;
    for (let column = 0; column < panels << 3; column += 8) {
      let y00 = v128.load(bias), y01 = v128.load(bias, 16), y10 = y00, y11 = y01, y20 = y00, y21 = y01, y30 = y00, y31 = y01;
      let runs = d.runs;
      for (let block = blocks; block > 0; block--) {
        let s00 = begin<W>(starts), s01 = begin<W>(starts + 16), s10 = s00, s11 = s01, s20 = s00, s21 = s01, s30 = s00, s31 = s01;
        starts += 32;
        const end = runs + 4 + (load<usize>(runs) << 3);
        for (runs += 4; runs < end; runs += 8) {
          const k = load<usize>(runs);
          let q0 = a0 + k, q1 = a1 + k, q2 = a2 + k, q3 = a3 + k;
          for (const stop = q0 + load<usize>(runs, 4); q0 < stop; ) {
            if (isNarrow<W>()) {
              let w0 = v128.load(w), w1 = v128.load(w, 16);
              let x = four(q0, c);
              s00 = dot(s00, w0, x, c), s01 = dot(s01, w1, x, c);
              x = four(q1, c);
              s10 = dot(s10, w0, x, c), s11 = dot(s11, w1, x, c);
              if (!q1) break;
              x = four(q2, c);
              s20 = dot(s20, w0, x, c), s21 = dot(s21, w1, x, c);
              x = four(q3, c);
              s30 = dot(s30, w0, x, c), s31 = dot(s31, w1, x, c);
              if (!q2) break;
              w0 = v128.load(w, 32), w1 = v128.load(w, 48);
              x = nextFour(q0, c);
              s00 = dot(s00, w0, x, c), s01 = dot(s01, w1, x, c);
              x = nextFour(q1, c);
              s10 = dot(s10, w0, x, c), s11 = dot(s11, w1, x, c);
              if (!q3) break;
              x = nextFour(q2, c);
              s20 = dot(s20, w0, x, c), s21 = dot(s21, w1, x, c);
              x = nextFour(q3, c);
              s30 = dot(s30, w0, x, c), s31 = dot(s31, w1, x, c);
              q0 += 8, q1 += 8, q2 += 8, q3 += 8, w += 64;
              continue;
            }
            const w0 = v128.load8x8_s(w), w1 = v128.load8x8_s(w, 8), v0 = v128.load8x8_s(w, 16), v1 = v128.load8x8_s(w, 24);
            let q = codes(q0);
            let x = firstPair(q), x2 = secondPair(q);
            s00 = add2(s00, x, w0, x2, v0);
            s01 = add2(s01, x, w1, x2, v1);
            q = codes(q1);
            x = firstPair(q), x2 = secondPair(q);
            s10 = add2(s10, x, w0, x2, v0);
            s11 = add2(s11, x, w1, x2, v1);
            q = codes(q2);
            x = firstPair(q), x2 = secondPair(q);
            s20 = add2(s20, x, w0, x2, v0);
            s21 = add2(s21, x, w1, x2, v1);
            q = codes(q3);
            x = firstPair(q), x2 = secondPair(q);
            s30 = add2(s30, x, w0, x2, v0);
            s31 = add2(s31, x, w1, x2, v1);
            q0 += 4, q1 += 4, q2 += 4, q3 += 4, w += 32;
          }
        }
        const f0 = v128.load(scales), f1 = v128.load(scales, 16);
        scales += 32;
        y00 = real(s00, f0, y00), y01 = real(s01, f1, y01);
        y10 = real(s10, f0, y10), y11 = real(s11, f1, y11);
        y20 = real(s20, f0, y20), y21 = real(s21, f1, y21);
        y30 = real(s30, f0, y30), y31 = real(s31, f1, y31);
      }
      bias += 32;
      let z = zs;
      for (const bEnd = b + (rank << 5); b < bEnd; b += 32, z += Z_PITCH) {
        const b0 = v128.load(b), b1 = v128.load(b, 16);
        let factor = v128.load32_splat(z);
        y00 = addScaled(y00, factor, b0), y01 = addScaled(y01, factor, b1);
        factor = v128.load32_splat(z, 4);
        y10 = addScaled(y10, factor, b0), y11 = addScaled(y11, factor, b1);
        factor = v128.load32_splat(z, 8);
        y20 = addScaled(y20, factor, b0), y21 = addScaled(y21, factor, b1);
        factor = v128.load32_splat(z, 12);
        y30 = addScaled(y30, factor, b0), y31 = addScaled(y31, factor, b1);
      }
      if (simple && column + 8 <= columns) {
        if (residual) {
          const from = residual + <usize>(to * columns + column);
          let codes = v128.load8x8_u(from);
          y00 = addLow(y00, codes, residualScale), y01 = addHigh(y01, codes, residualScale);
          codes = v128.load8x8_u(from + <usize>o1);
          y10 = addLow(y10, codes, residualScale), y11 = addHigh(y11, codes, residualScale);
          codes = v128.load8x8_u(from + <usize>o2);
          y20 = addLow(y20, codes, residualScale), y21 = addHigh(y21, codes, residualScale);
          codes = v128.load8x8_u(from + <usize>o3);
          y30 = addLow(y30, codes, residualScale), y31 = addHigh(y31, codes, residualScale);
        }
        const at = output + <usize>(to * columns + column);
        v128.store64_lane(at, toCodes(y00, y01), 0);
        v128.store64_lane(at + <usize>o1, toCodes(y10, y11), 0);
        v128.store64_lane(at + <usize>o2, toCodes(y20, y21), 0);
        v128.store64_lane(at + <usize>o3, toCodes(y30, y31), 0);
        continue;
      }
      storePair(values, y00, y01), storePair(values + 32, y10, y11), storePair(values + 64, y20, y21), storePair(values + 96, y30, y31);
      for (let i = to; i < to + 4 && i <= last; i++) finish(d, values + (<usize>(i - to) << 5), <usize>(i * columns), column);
    }
    a0 = next;
  }
}

/** One window in all panels, four at a time; the last one stands in for those beyond it. The output begins at `start`. */
export function product1<W>(d: Product, a: usize, start: usize): void {
  const c = constant();
  const panels = d.panels, panelBytes = d.panelBytes, pitch = d.blocks << 5, rankBytes = d.rank << 5;
  const t = d.target;
  const lowest = f32x4.splat(t.lowest), highest = f32x4.splat(t.highest);
  for (let panel: usize = 0; panel < panels; panel += 4) {
    const panel1 = min(panel + 1, panels - 1), panel2 = min(panel + 2, panels - 1), panel3 = min(panel + 3, panels - 1);
    let w0 = d.weights + panel * panelBytes, w1 = d.weights + panel1 * panelBytes, w2 = d.weights + panel2 * panelBytes, w3 = d.weights + panel3 * panelBytes;
    const bias0 = d.bias + (panel << 5), bias1 = d.bias + (panel1 << 5), bias2 = d.bias + (panel2 << 5), bias3 = d.bias + (panel3 << 5);
    let y00 = v128.load(bias0), y01 = v128.load(bias0, 16), y10 = v128.load(bias1), y11 = v128.load(bias1, 16);
    let y20 = v128.load(bias2), y21 = v128.load(bias2, 16), y30 = v128.load(bias3), y31 = v128.load(bias3, 16);
    let runs = d.runs;
    for (let block: usize = 0; block < pitch; block += 32) {
      const starts = d.starts + block, scales = d.scales + block;
      const starts0 = starts + panel * pitch, starts1 = starts + panel1 * pitch, starts2 = starts + panel2 * pitch, starts3 = starts + panel3 * pitch;
      let s00 = begin<W>(starts0), s01 = begin<W>(starts0 + 16), s10 = begin<W>(starts1), s11 = begin<W>(starts1 + 16);
      let s20 = begin<W>(starts2), s21 = begin<W>(starts2 + 16), s30 = begin<W>(starts3), s31 = begin<W>(starts3 + 16);
      const end = runs + 4 + (load<usize>(runs) << 3);
      for (runs += 4; runs < end; runs += 8) {
        let q = a + load<usize>(runs);
        for (const stop = q + load<usize>(runs, 4); q < stop; ) {
          if (isNarrow<W>()) {
            let x = four(q, c);
            s00 = dot(s00, v128.load(w0), x, c), s01 = dot(s01, v128.load(w0, 16), x, c);
            s10 = dot(s10, v128.load(w1), x, c), s11 = dot(s11, v128.load(w1, 16), x, c);
            if (!w1) break;
            s20 = dot(s20, v128.load(w2), x, c), s21 = dot(s21, v128.load(w2, 16), x, c);
            s30 = dot(s30, v128.load(w3), x, c), s31 = dot(s31, v128.load(w3, 16), x, c);
            if (!w2) break;
            x = nextFour(q, c);
            s00 = dot(s00, v128.load(w0, 32), x, c), s01 = dot(s01, v128.load(w0, 48), x, c);
            s10 = dot(s10, v128.load(w1, 32), x, c), s11 = dot(s11, v128.load(w1, 48), x, c);
            if (!w3) break;
            s20 = dot(s20, v128.load(w2, 32), x, c), s21 = dot(s21, v128.load(w2, 48), x, c);
            s30 = dot(s30, v128.load(w3, 32), x, c), s31 = dot(s31, v128.load(w3, 48), x, c);
            q += 8, w0 += 64, w1 += 64, w2 += 64, w3 += 64;
            continue;
          }
          const pairs = codes(q);
          const x = firstPair(pairs), x2 = secondPair(pairs);
          s00 = add2(s00, x, v128.load8x8_s(w0), x2, v128.load8x8_s(w0, 16));
          s01 = add2(s01, x, v128.load8x8_s(w0, 8), x2, v128.load8x8_s(w0, 24));
          s10 = add2(s10, x, v128.load8x8_s(w1), x2, v128.load8x8_s(w1, 16));
          s11 = add2(s11, x, v128.load8x8_s(w1, 8), x2, v128.load8x8_s(w1, 24));
          s20 = add2(s20, x, v128.load8x8_s(w2), x2, v128.load8x8_s(w2, 16));
          s21 = add2(s21, x, v128.load8x8_s(w2, 8), x2, v128.load8x8_s(w2, 24));
          s30 = add2(s30, x, v128.load8x8_s(w3), x2, v128.load8x8_s(w3, 16));
          s31 = add2(s31, x, v128.load8x8_s(w3, 8), x2, v128.load8x8_s(w3, 24));
          q += 4, w0 += 32, w1 += 32, w2 += 32, w3 += 32;
        }
      }
      const f0 = scales + panel * pitch, f1 = scales + panel1 * pitch, f2 = scales + panel2 * pitch, f3 = scales + panel3 * pitch;
      y00 = real(s00, v128.load(f0), y00), y01 = real(s01, v128.load(f0, 16), y01);
      y10 = real(s10, v128.load(f1), y10), y11 = real(s11, v128.load(f1, 16), y11);
      y20 = real(s20, v128.load(f2), y20), y21 = real(s21, v128.load(f2, 16), y21);
      y30 = real(s30, v128.load(f3), y30), y31 = real(s31, v128.load(f3, 16), y31);
    }
    let b0 = d.b + panel * rankBytes, b1 = d.b + panel1 * rankBytes, b2 = d.b + panel2 * rankBytes, b3 = d.b + panel3 * rankBytes;
    for (let z = d.z, end = b0 + rankBytes; b0 < end; b0 += 32, b1 += 32, b2 += 32, b3 += 32, z += Z_PITCH) {
      const factor = v128.load32_splat(z);
      y00 = addScaled(y00, factor, v128.load(b0)), y01 = addScaled(y01, factor, v128.load(b0, 16));
      y10 = addScaled(y10, factor, v128.load(b1)), y11 = addScaled(y11, factor, v128.load(b1, 16));
      y20 = addScaled(y20, factor, v128.load(b2)), y21 = addScaled(y21, factor, v128.load(b2, 16));
      y30 = addScaled(y30, factor, v128.load(b3)), y31 = addScaled(y31, factor, v128.load(b3, 16));
    }
    const column = <i32>panel << 3;
    if (column + 32 <= t.columns && !d.residual) {
      y00 = clamped(y00, lowest, highest), y01 = clamped(y01, lowest, highest), y10 = clamped(y10, lowest, highest), y11 = clamped(y11, lowest, highest);
      y20 = clamped(y20, lowest, highest), y21 = clamped(y21, lowest, highest), y30 = clamped(y30, lowest, highest), y31 = clamped(y31, lowest, highest);
      let to = start + <usize>column;
      if (t.codes) {
        to += t.output;
        v128.store64_lane(to, toCodes(y00, y01), 0), v128.store64_lane(to, toCodes(y10, y11), 0, 8);
        v128.store64_lane(to, toCodes(y20, y21), 0, 16), v128.store64_lane(to, toCodes(y30, y31), 0, 24);
      } else {
        to = t.output + (to << 2);
        storePair(to, y00, y01), storePair(to + 32, y10, y11), storePair(to + 64, y20, y21), storePair(to + 96, y30, y31);
      }
      continue;
    }
    storePair(values, y00, y01), storePair(values + 32, y10, y11), storePair(values + 64, y20, y21), storePair(values + 96, y30, y31);
    for (let i: usize = 0; i <= panel3 - panel; i++) finish(d, values + (i << 5), start, column + (<i32>i << 3));
  }
}

/** Adds the residual's codes, if there is one, to eight values and stores them: columns from `column` on. */
@inline
function finish(d: Product, values: usize, start: usize, column: i32): void {
  const at = start + <usize>column;
  let low = v128.load(values), high = v128.load(values, 16);
  if (d.residual) {
    const codes = v128.load8x8_u(d.residual + at), scale = f32x4.splat(d.residualScale);
    low = addLow(low, codes, scale);
    high = addHigh(high, codes, scale);
  }
  store8(d.target, at, d.target.columns - column, low, high, f32x4.splat(d.target.lowest), f32x4.splat(d.target.highest));
}
