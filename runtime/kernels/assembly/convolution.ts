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

function convolve<W>(d: Convolution): void {
  const image = imageOf(d.window);
  if (d.window.positions == 1) vector<W>(d, image);
  else matrix<W>(d, image);
}

/** Four windows at once, the surrogate's z first: its weights are always narrow. */
function matrix<W>(d: Convolution, image: usize): void {
  const window = d.window, main = d.main, side = d.side;
  const last = window.positions - 1, width = window.width, step = window.stepX;
  for (let p = 0; p <= last; p += 4) {
    const a0 = windowAt(window, image, p);
    let a1 = a0 + step, a2 = a1 + step, a3 = a2 + step;
    if (p % width + 4 > width) {
      a1 = windowAt(window, image, p + 1);
      a2 = windowAt(window, image, p + 2);
      a3 = windowAt(window, image, p + 3);
    }
    if (side.panels) product4<u8>(side, 0, 3, a0, a1, a2, a3);
    product4<W>(main, p, last, a0, a1, a2, a3);
  }
}

function vector<W>(d: Convolution, image: usize): void {
  const main = d.main, side = d.side;
  let panel: usize = 0;
  for (; panel < side.panels; panel++) product1<u8>(side, panel, image);
  for (panel = 0; panel + 4 <= main.panels; panel += 4) product1x32<W>(main, panel, image);
  for (; panel < main.panels; panel++) product1<W>(main, panel, image);
}
