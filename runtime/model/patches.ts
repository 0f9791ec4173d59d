import { type Shape, sizeOf } from "../tensor/tensor.ts";
import type { Layer, Window } from "./graph.ts";

type Numbers = Float32Array | Uint8Array;

/** The input vectors of a layer, one row per output position of each sample: the im2col matrix, or some rows of it. */
export interface Patches {
  /** Floats per row: the layer's rows, or for a depthwise layer (kernel height * kernel width) * channels. */
  readonly length: number;
  /** Rows of all samples together. */
  readonly count: number;
  /** Writes row `index` into `to` at `at`. Positions outside the input get `outside`. */
  copy(index: number, from: Numbers, outside: number, to: Numbers, at: number): void;
}

const POINT: Window = { kernel: [1, 1], stride: [1, 1], dilation: [1, 1], pads: [0, 0, 0, 0] };

/** @param input shape of the layer's input, NHWC with a batch of 1; a dense layer reads its last axis */
export function patchesOf(layer: Layer, input: Shape, samples: number): Patches {
  const channels = input[input.length - 1];
  const dense = layer.op === "dense";
  const [height, width] = dense ? [sizeOf(input) / channels, 1] : [input[1], input[2]];
  const outputWidth = dense ? 1 : layer.shape[2];
  const perSample = sizeOf(layer.shape) / layer.columns;
  const { kernel, stride, dilation, pads } = dense ? POINT : layer;
  return {
    length: kernel[0] * kernel[1] * channels,
    count: perSample * samples,
    copy(index, from, outside, to, at) {
      const sample = Math.floor(index / perSample) * height * width;
      const top = Math.floor((index % perSample) / outputWidth) * stride[0] - pads[0];
      const left = (index % outputWidth) * stride[1] - pads[1];
      let next = at;
      for (let ky = 0; ky < kernel[0]; ky++) {
        for (let kx = 0; kx < kernel[1]; kx++) {
          const y = top + ky * dilation[0];
          const x = left + kx * dilation[1];
          const inside = y >= 0 && y < height && x >= 0 && x < width;
          const source = (sample + y * width + x) * channels;
          for (let c = 0; c < channels; c++) to[next++] = inside ? from[source + c] : outside;
        }
      }
    },
  };
}

/** Vectors that a layer's statistics are taken from; more cost time and change little. */
const MOST_ROWS = 4096;

/** Which vectors to look at; evenly spread, an odd step falls into no rhythm of image rows and columns. */
export function someRows(count: number): Int32Array {
  const step = count <= MOST_ROWS ? 1 : Math.ceil(count / MOST_ROWS) | 1;
  return Int32Array.from({ length: Math.ceil(count / step) }, (_, i) => i * step);
}

/** These rows of a value's patches, rows.length x patches.length. */
export function rowsOf(patches: Patches, rows: Int32Array, from: Numbers, outside: number): Float32Array {
  const out = new Float32Array(rows.length * patches.length);
  for (const [i, row] of rows.entries()) patches.copy(row, from, outside, out, i * patches.length);
  return out;
}
