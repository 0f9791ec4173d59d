import { sizeOf } from "../tensor/tensor.ts";
import { type Arena, arrayOf, startOf } from "./arena.ts";
import { affineOf } from "./rounding.ts";
import type { ConcatStep, GatherStep, PadStep, SliceStep, TransposeStep } from "./step.ts";
import { pixelsUnder } from "./windows.ts";

/** Steps that only move numbers. */

/**
 * Windows side by side, `across` of them in a row: rows of kernel y, kernel x, channel; outside the input the zero
 * point. Written to `to`, which may be another arena.
 */
export function bindGather(arena: Arena, step: GatherStep, across: number, to: Arena): () => void {
  const { input, output, kernel } = step;
  const channels = input.shape[2];
  const [count] = output.shape;
  const { zeroPoint } = affineOf(input);
  const pixels = Array.from({ length: count }, (_, p) => pixelsUnder(step, Math.floor(p / across), p % across));

  return () => {
    to.bytes.fill(zeroPoint, output.offset, output.offset + count * kernel[0] * kernel[1] * channels);
    for (let p = 0, at = output.offset; p < count; p++) {
      for (const pixel of pixels[p]) {
        for (let c = 0; pixel >= 0 && c < channels; c++) to.bytes[at + c] = arena.bytes[input.offset + pixel + c];
        at += channels;
      }
    }
  };
}

/** How many windows stand side by side on the input. */
export function windowsAcross({ input, kernel, stride, dilation, pads }: GatherStep): number {
  const room = input.shape[1] + pads[1] + pads[3] - (kernel[1] - 1) * dilation[1] - 1;
  return Math.floor(room / stride[1]) + 1;
}

export function bindPad(arena: Arena, { input, output, pads, code }: PadStep): () => void {
  const [height, width, channels] = input.shape;
  const rowLength = width * channels;
  const pitch = output.shape[1] * channels;
  const start = startOf(output) + pads[0] * pitch + pads[1] * channels;

  return () => {
    const from = arrayOf(arena, input);
    const to = arrayOf(arena, output);
    to.fill(code, startOf(output), startOf(output) + output.shape[0] * pitch);
    for (let y = 0; y < height; y++) {
      for (let i = 0; i < rowLength; i++) to[start + y * pitch + i] = from[startOf(input) + y * rowLength + i];
    }
  };
}

export function bindTranspose(arena: Arena, { input, output, permutation }: TransposeStep): () => void {
  const steps = [input.shape[1] * input.shape[2], input.shape[2], 1];
  const [stepY, stepX, stepC] = permutation.map((axis) => steps[axis]);
  const [height, width, channels] = output.shape;

  return () => {
    const from = arrayOf(arena, input);
    const to = arrayOf(arena, output);
    let at = startOf(output);
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        for (let c = 0; c < channels; c++) to[at++] = from[startOf(input) + y * stepY + x * stepX + c * stepC];
      }
    }
  };
}

export function bindSlice(arena: Arena, { input, output, axis, start }: SliceStep): () => void {
  const inner = sizeOf(output.shape.slice(axis + 1));
  const runs = sizeOf(output.shape.slice(0, axis));
  const [length, pitch] = [output.shape[axis] * inner, input.shape[axis] * inner];

  return () => {
    const from = arrayOf(arena, input);
    const to = arrayOf(arena, output);
    let at = startOf(output);
    for (let run = 0; run < runs; run++) {
      const first = startOf(input) + run * pitch + start * inner;
      for (let i = 0; i < length; i++) to[at++] = from[first + i];
    }
  };
}

export function bindConcat(arena: Arena, { inputs, output, axis }: ConcatStep): () => void {
  const runs = output.shape.slice(0, axis).reduce((product, length) => product * length, 1);
  const lengthOf = (shape: readonly number[]): number =>
    shape.slice(axis).reduce((product, length) => product * length, 1);

  return () => {
    const to = arrayOf(arena, output);
    let at = startOf(output);
    for (let run = 0; run < runs; run++) {
      for (const input of inputs) {
        const length = lengthOf(input.shape);
        const from = arrayOf(arena, input);
        const start = startOf(input) + run * length;
        for (let i = 0; i < length; i++) to[at++] = from[start + i];
      }
    }
  };
}
