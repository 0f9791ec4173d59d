import { Projection, Window } from "./descriptors";
import { constant, dot, eight, isNarrow } from "./dot";
import { values, windowAt } from "./memory";
import { add2, codes, firstPair, secondPair } from "./pairs";
import { real, storePair } from "./storing";

/** From z of a rank to that of the next: room for as many windows as there are in a strip (wasm-product.ts). */
export const Z_PITCH: usize = 256;

/**
 * A surrogate's first factor: z of `count` windows from number `from` on, four at a time, in panels of four columns,
 * since ranks are small. Narrow weights meet eight codes at a time, so that a column's sum is in two lanes.
 */
export function project<W>(d: Projection, window: Window, image: usize, from: i32, count: i32): void {
  const c = constant();
  const panels = d.panels, width = window.width, step = window.stepX;
  const runs = d.runs + 4, runsEnd = runs + (load<usize>(d.runs) << 3);
  let x = from % width;
  let a0 = windowAt(window, image, from);
  let zs = d.z;
  for (const last = from + count; from < last; zs += 16) {
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
    let w = d.weights, starts = d.starts, scales = d.scales, bias = d.bias, z = zs;
    for (let panel = panels; panel > 0; panel--, starts += 16, scales += 16, bias += 16, z += 4 * Z_PITCH) {
      let s00 = i32x4.splat(0), s01 = s00, s10 = s00, s11 = s00, s20 = s00, s21 = s00, s30 = s00, s31 = s00;
      for (let run = runs; run < runsEnd; run += 8) {
        const k = load<usize>(run);
        let q0 = a0 + k, q1 = a1 + k, q2 = a2 + k, q3 = a3 + k;
        for (const stop = q0 + load<usize>(run, 4); q0 < stop; w += 32) {
          if (isNarrow<W>()) {
            const w0 = v128.load(w), w1 = v128.load(w, 16);
            let x = eight(q0, c);
            s00 = dot(s00, w0, x, c), s01 = dot(s01, w1, x, c);
            x = eight(q1, c);
            s10 = dot(s10, w0, x, c), s11 = dot(s11, w1, x, c);
            // As in product.ts.
            if (!q1) break;
            x = eight(q2, c);
            s20 = dot(s20, w0, x, c), s21 = dot(s21, w1, x, c);
            x = eight(q3, c);
            s30 = dot(s30, w0, x, c), s31 = dot(s31, w1, x, c);
            q0 += 8, q1 += 8, q2 += 8, q3 += 8;
            continue;
          }
          for (let half = 0; half < 32; half += 16, q0 += 4, q1 += 4, q2 += 4, q3 += 4) {
            const w0 = v128.load8x8_s(w + half), v0 = v128.load8x8_s(w + half, 8);
            let q = codes(q0);
            s00 = add2(s00, firstPair(q), w0, secondPair(q), v0);
            q = codes(q1);
            s10 = add2(s10, firstPair(q), w0, secondPair(q), v0);
            q = codes(q2);
            s20 = add2(s20, firstPair(q), w0, secondPair(q), v0);
            q = codes(q3);
            s30 = add2(s30, firstPair(q), w0, secondPair(q), v0);
          }
        }
      }
      // Stored, because V8's revectorizer begins at pairs of stores.
      storePair(values, s00, s01), storePair(values + 32, s10, s11);
      storePair(values + 64, s20, s21), storePair(values + 96, s30, s31);
      const f = v128.load(scales), b = v128.load(bias);
      const y0 = real(sums<W>(starts, values), f, b), y1 = real(sums<W>(starts, values + 32), f, b);
      const y2 = real(sums<W>(starts, values + 64), f, b), y3 = real(sums<W>(starts, values + 96), f, b);
      // Rank by rank, the windows side by side.
      const low0 = v128.shuffle<i32>(y0, y1, 0, 4, 1, 5), high0 = v128.shuffle<i32>(y0, y1, 2, 6, 3, 7);
      const low1 = v128.shuffle<i32>(y2, y3, 0, 4, 1, 5), high1 = v128.shuffle<i32>(y2, y3, 2, 6, 3, 7);
      v128.store(z, v128.shuffle<i64>(low0, low1, 0, 2));
      v128.store(z, v128.shuffle<i64>(low0, low1, 1, 3), Z_PITCH);
      v128.store(z, v128.shuffle<i64>(high0, high1, 0, 2), 2 * Z_PITCH);
      v128.store(z, v128.shuffle<i64>(high0, high1, 1, 3), 3 * Z_PITCH);
    }
    a0 = next;
  }
}

/** The sums of four columns: as they are, or in two lanes each. */
@inline
function sums<W>(starts: usize, at: usize): v128 {
  const a = v128.load(at), b = v128.load(at, 16);
  if (!isNarrow<W>()) return a;
  const sums = i32x4.add(v128.shuffle<i32>(a, b, 0, 2, 4, 6), v128.shuffle<i32>(a, b, 1, 3, 5, 7));
  return FAMILY == 2 ? i32x4.add(sums, v128.load(starts)) : sums;
}
