import { spread } from "../tensor/spread.ts";
import { type Shape, sizeOf } from "../tensor/tensor.ts";
import { type Layer, positions, type Window } from "./graph.ts";

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

/**
 * A recurrent layer reads its own output of one step before, so its vectors are that sequence moved by one.
 * @param input shape of what the layer multiplies, NHWC with a batch of 1; a dense layer reads its last axis
 */
export function patchesOf(layer: Layer, input: Shape, samples: number): Patches {
  const channels = input[input.length - 1];
  const flat = layer.op === "dense" || layer.op === "recurrence";
  const [height, width] = flat ? [sizeOf(input) / channels, 1] : [input[1], input[2]];
  const outputWidth = flat ? 1 : layer.shape[2];
  const perSample = positions(layer);
  const { kernel, stride, dilation, pads } = windowOf(layer);
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
          if (inside) copyRun(from, source, to, next, channels);
          else to.fill(outside, next, next + channels);
          next += channels;
        }
      }
    },
  };
}

/** A few numbers: a loop is sooner done than a view is made. */
function copyRun(from: Numbers, source: number, to: Numbers, at: number, length: number): void {
  for (let i = 0; i < length; i++) to[at + i] = from[source + i];
}

function windowOf(layer: Layer): Window {
  if (layer.op === "conv2d" || layer.op === "depthwise") return layer;
  if (layer.op === "dense") return POINT;
  const before = layer.reverse ? -1 : 1;
  return { ...POINT, pads: [before, 0, -before, 0] };
}

/** Vectors that a layer's statistics are taken from; more cost time and change little. */
const MOST_ROWS = 4096;

/** Which vectors to look at. */
export function someRows(count: number): Int32Array {
  return spread(count, MOST_ROWS);
}

/** These rows of a value's patches, rows.length x patches.length. */
export function rowsOf(patches: Patches, rows: Int32Array, from: Numbers, outside: number): Float32Array {
  const out = new Float32Array(rows.length * patches.length);
  for (const [i, row] of rows.entries()) patches.copy(row, from, outside, out, i * patches.length);
  return out;
}
