/**
 * About `most` of 0 .. count - 1, evenly spread. The step shares no factor with their number, which is a multiple of
 * every axis: a step of 5 on images 5 wide would see one column only.
 */
export function spread(count: number, most: number): Int32Array {
  let step = Math.max(1, Math.ceil(count / most));
  while (commonFactor(step, count) > 1) step++;
  return Int32Array.from({ length: Math.ceil(count / step) }, (_, i) => i * step);
}

function commonFactor(a: number, b: number): number {
  return b === 0 ? a : commonFactor(b, a % b);
}
