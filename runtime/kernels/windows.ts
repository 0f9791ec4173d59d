import type { Window } from "../model/graph.ts";
import type { Slot } from "./step.ts";

/** Where windows stand on an image that has its border (pads) around it. All in elements. */
export interface Windows {
  readonly bordered: boolean;
  /** Of the bordered image. */
  readonly height: number;
  readonly pitch: number;
  /** From the bordered image's start to the input's first value. */
  readonly inset: number;
  readonly positions: number;
  readonly width: number;
  readonly stepX: number;
  readonly stepY: number;
  /** For each kernel element, row by row: its first channel, relative to the window. */
  readonly taps: readonly number[];
}

export function windowsOf(step: Window & { readonly input: Slot; readonly output: Slot }): Windows {
  const [height, width, channels] = step.input.shape;
  const [top, left, bottom, right] = step.pads;
  const pitch = (width + left + right) * channels;
  const outputs = { height: step.output.shape[0], width: step.output.shape[1] };
  return {
    bordered: step.pads.some((pad) => pad > 0),
    height: height + top + bottom,
    pitch,
    inset: top * pitch + left * channels,
    positions: outputs.height * outputs.width,
    width: outputs.width,
    stepX: step.stride[1] * channels,
    stepY: step.stride[0] * pitch,
    taps: pairsOf(step.kernel).map(([y, x]) => y * step.dilation[0] * pitch + x * step.dilation[1] * channels),
  };
}

/** For each kernel element of the window at (y, x) the first channel of its pixel in the input; -1 in the border. */
export function pixelsUnder(step: Window & { readonly input: Slot }, y: number, x: number): Int32Array {
  const { kernel, stride, dilation, pads } = step;
  const [height, width, channels] = step.input.shape;
  return Int32Array.from(pairsOf(kernel), ([ky, kx]) => {
    const row = y * stride[0] - pads[0] + ky * dilation[0];
    const column = x * stride[1] - pads[1] + kx * dilation[1];
    const inside = row >= 0 && row < height && column >= 0 && column < width;
    return inside ? (row * width + column) * channels : -1;
  });
}

function pairsOf([height, width]: readonly [number, number]): [number, number][] {
  return Array.from({ length: height * width }, (_, i) => [Math.floor(i / width), i % width]);
}
