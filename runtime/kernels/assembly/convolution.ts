import { Convolution } from "./descriptors";
import { imageOf, scratch, windowAt } from "./memory";
import { product1, product4 } from "./product";
import { project } from "./projection";

export function conv2d(d: Convolution): void {
  convolve<i8>(d);
}

/** With narrow weights (dot.ts). */
export function conv2d_narrow(d: Convolution): void {
  convolve<u8>(d);
}

/** Windows by fours, and one that is left over alone. */
function convolve<W>(d: Convolution): void {
  const window = d.window, image = imageOf(window);
  const positions = window.positions, alone = (positions & 3) == 1 && !d.rows;
  matrix<W>(d, image, alone ? positions - 1 : positions);
  if (!alone) return;
  const last = positions - 1, main = d.main;
  if (d.projection.panels) project<W>(d.projection, window, image, last, 1);
  product1<W>(main, windowAt(window, image, last), <usize>(last * main.target.columns));
}

/** For how many windows there is room for z and for their codes (wasm-product.ts). */
const STRIP: i32 = 64;

/** The surrogate's z first, strip by strip, of whole fours. */
function matrix<W>(d: Convolution, image: usize, positions: i32): void {
  const main = d.main, projection = d.projection, rows = d.rows;
  const strip = projection.panels || rows ? STRIP : positions;
  const window = rows ? d.gathered : d.window, codes = rows ? scratch() + d.window.imageBytes : image;
  for (let p = 0; p < positions; p += strip) {
    const count = min(strip, positions - p), from = rows ? 0 : p;
    if (rows) gather(d, image, p, (count + 3) & ~3, codes);
    if (projection.panels) project<W>(projection, window, codes, from, count);
    product4<W>(main, window, codes, from, count, p);
  }
}

/** The codes of `count` windows from number `from` on, row by row of up to a vector, which is what each writes. The last
 * window stands in for those beyond it. */
function gather(d: Convolution, image: usize, from: i32, count: i32, to: usize): void {
  const window = d.window, rows = d.rows, end = rows + (d.rowCount << 2), rowBytes = d.rowBytes;
  let x = from % window.width;
  let at = windowAt(window, image, from);
  for (const last = from + count; from < last; ) {
    for (let row = rows; row < end; row += 4, to += rowBytes) v128.store(to, v128.load(at + load<usize>(row)));
    from++;
    x++;
    at += window.stepX;
    if (x < window.width && from < window.positions) continue;
    x = 0;
    at = windowAt(window, image, from);
  }
}
