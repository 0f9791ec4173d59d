import { NO_CLAMP } from "../model/graph.ts";
import { type Arena, arrayOf, startOf } from "./arena.ts";
import { affineOf, stored, targetOf } from "./rounding.ts";
import type { PoolStep } from "./step.ts";
import { pixelsUnder } from "./windows.ts";

const round = Math.fround;

/** The greatest number of each window inside the input. */
export function bindMaxPool(arena: Arena, step: PoolStep): () => void {
  const { input, output } = step;
  const channels = output.shape[2];
  const least = input.type === "u8" ? 0 : Number.NEGATIVE_INFINITY;
  const windows = pixelsOfEach(step);

  return () => {
    const from = arrayOf(arena, input);
    const to = arrayOf(arena, output);
    let at = startOf(output);
    for (const pixels of windows) {
      for (let c = 0; c < channels; c++) {
        let max = least;
        for (const pixel of pixels) max = Math.max(max, from[startOf(input) + pixel + c]);
        to[at++] = max;
      }
    }
  };
}

/** (sum - n * zero point) * multiplier + zero point, n numbers inside the input. */
export function bindAveragePool(arena: Arena, step: PoolStep): () => void {
  const { input, output } = step;
  const channels = output.shape[2];
  const { zeroPoint } = affineOf(input);
  const windows = pixelsOfEach(step);
  const multipliers = averageMultipliers(step);
  const target = targetOf(output, NO_CLAMP);

  return () => {
    const from = arrayOf(arena, input);
    const to = arrayOf(arena, output);
    let at = startOf(output);
    for (let p = 0; p < windows.length; p++) {
      const pixels = windows[p];
      for (let c = 0; c < channels; c++) {
        let sum = -pixels.length * zeroPoint;
        for (const pixel of pixels) sum += from[startOf(input) + pixel + c];
        to[at++] = stored(round(round(round(sum) * multipliers[p]) + target.zeroPoint), target);
      }
    }
  };
}

/** What the sum over a window is multiplied with, for each position: the scales' ratio over the divisor. */
export function averageMultipliers(step: PoolStep): Float32Array {
  const ratio = affineOf(step.input).scale / affineOf(step.output).scale;
  const area = step.kernel[0] * step.kernel[1];
  return Float32Array.from(pixelsOfEach(step), (pixels) => ratio / (step.countPadding ? area : pixels.length || 1));
}

/** The pixels inside the input under each window. */
function pixelsOfEach(step: PoolStep): Int32Array[] {
  const [height, width] = step.output.shape;
  return Array.from({ length: height * width }, (_, p) =>
    pixelsUnder(step, Math.floor(p / width), p % width).filter((pixel) => pixel >= 0),
  );
}
