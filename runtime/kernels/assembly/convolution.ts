import { Convolution } from "./descriptors";
import { imageOf, windowAt } from "./memory";
import { product1, product1x32, product4 } from "./product";

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
  const positions = window.positions, alone = (positions & 3) == 1;
  matrix<W>(d, image, alone ? positions - 1 : positions);
  if (alone) vector<W>(d, windowAt(window, image, positions - 1), positions - 1);
}

/** For how many windows there is room for z (wasm-product.ts). */
const STRIP: i32 = 32;

/** The surrogate's z first, strip by strip, of whole fours: its weights are always narrow. */
function matrix<W>(d: Convolution, image: usize, positions: i32): void {
  const window = d.window, main = d.main, side = d.side;
  const strip = side.panels ? STRIP : positions;
  for (let p = 0; p < positions; p += strip) {
    const count = min(strip, positions - p);
    if (side.panels) product4<u8>(side, window, image, p, (count + 3) & ~3, 0);
    product4<W>(main, window, image, p, count, p);
  }
}

function vector<W>(d: Convolution, at: usize, position: i32): void {
  const main = d.main, side = d.side;
  const start = <usize>(position * main.target.columns);
  let panel: usize = 0;
  for (; panel < side.panels; panel++) product1<u8>(side, panel, at, 0);
  for (panel = 0; panel + 4 <= main.panels; panel += 4) product1x32<W>(main, panel, at, start);
  for (; panel < main.panels; panel++) product1<W>(main, panel, at, start);
}
