import { Pool } from "./descriptors";
import { imageOf, windowAt } from "./memory";
import { store8, storeBytes } from "./storing";

/** Codes have the same order as the values, and the border is 0: the least code. */
export function max_pool(d: Pool): void {
  const window = d.window, t = d.target;
  const image = imageOf(window);
  const end = d.offsets + (<usize>d.count << 2);
  for (let p = 0; p < window.positions; p++) {
    const at = windowAt(window, image, p);
    const to = t.output + <usize>(p * t.columns);
    for (let channel = 0; channel < t.columns; channel += 16) {
      let greatest = i8x16.splat(0);
      for (let offset = d.offsets; offset < end; offset += 4) {
        greatest = i8x16.max_u(greatest, v128.load(at + <usize>channel + load<usize>(offset)));
      }
      storeBytes(to + <usize>channel, greatest, min(16, t.columns - channel));
    }
  }
}

/** Sums of up to 256 codes fit 16 bits; then they move on to 32. */
export function average_pool(d: Pool): void {
  const window = d.window, t = d.target;
  const image = imageOf(window);
  const end = d.offsets + (<usize>d.count << 2);
  const lowest = f32x4.splat(t.lowest), highest = f32x4.splat(t.highest), zero = f32x4.splat(d.zero);
  for (let p = 0; p < window.positions; p++) {
    const at = windowAt(window, image, p);
    const multiplier = v128.load32_splat(d.multipliers + (<usize>p << 2));
    for (let channel = 0; channel < t.columns; channel += 8) {
      let low = i32x4.splat(-d.zeroSum), high = low;
      for (let offset = d.offsets; offset < end; ) {
        let sum = i16x8.splat(0);
        for (const stop = min(end, offset + 1024); offset < stop; offset += 4) {
          sum = i16x8.add(sum, v128.load8x8_u(at + <usize>channel + load<usize>(offset)));
        }
        low = i32x4.add(low, i32x4.extend_low_i16x8_u(sum));
        high = i32x4.add(high, i32x4.extend_high_i16x8_u(sum));
      }
      low = f32x4.add(zero, f32x4.mul(f32x4.convert_i32x4_s(low), multiplier));
      high = f32x4.add(zero, f32x4.mul(f32x4.convert_i32x4_s(high), multiplier));
      store8(t, <usize>(p * t.columns + channel), t.columns - channel, low, high, lowest, highest);
    }
  }
}
