import { NO_CLAMP } from "../model/graph.ts";
import { sizeOf } from "../tensor/tensor.ts";
import { type Arena, arrayOf, startOf } from "./arena.ts";
import { affineOf, stored, targetOf } from "./rounding.ts";
import type { ConvertStep, ElementwiseStep, LookupStep, SoftmaxStep } from "./step.ts";

/** One number at a time. Constants are rounded to f32 once; then each operation is one f32 operation. */

const round = Math.fround;

/** u8: (code - zero point) * scale. f32: value * (1 / scale) + zero point. */
export function bindConvert(arena: Arena, { op, input, output }: ConvertStep): () => void {
  const length = sizeOf(input.shape);
  const target = targetOf(output, NO_CLAMP);
  const scale = round(op === "quantize" ? 1 / output.scale : input.scale);
  const convert =
    op === "quantize"
      ? (value: number): number => round(round(value * scale) + output.zeroPoint)
      : (code: number): number => round((code - input.zeroPoint) * scale);

  return () => {
    const from = arrayOf(arena, input);
    const to = arrayOf(arena, output);
    for (let i = 0; i < length; i++) to[startOf(output) + i] = stored(convert(from[startOf(input) + i]), target);
  };
}

/** What add and mul multiply the numbers of their inputs with, so that the result is in units of the output. */
export interface ElementwiseConstants {
  readonly aScale: number;
  readonly bScale: number;
  readonly aZero: number;
  readonly bZero: number;
  readonly bias: number;
}

/** add: (a * aScale + b * bScale) + bias. mul: ((a - aZero) * (b - bZero)) * aScale + bias. */
export function elementwiseConstants({ op, inputs, output }: ElementwiseStep): ElementwiseConstants {
  const [a, b] = inputs.map(affineOf);
  const { scale, zeroPoint } = affineOf(output);
  const zeros = (a.scale * a.zeroPoint + b.scale * b.zeroPoint) / scale;
  return {
    aScale: round(op === "add" ? a.scale / scale : (a.scale * b.scale) / scale),
    bScale: round(b.scale / scale),
    aZero: a.zeroPoint,
    bZero: b.zeroPoint,
    bias: round(op === "add" ? zeroPoint - zeros : zeroPoint),
  };
}

export function bindElementwise(arena: Arena, step: ElementwiseStep): () => void {
  const [a, b] = step.inputs;
  const { output } = step;
  const length = sizeOf(output.shape);
  const bLength = sizeOf(b.shape);
  const target = targetOf(output, step.clamp);
  const k = elementwiseConstants(step);
  const combine =
    step.op === "add"
      ? (x: number, y: number): number => round(round(round(x * k.aScale) + round(y * k.bScale)) + k.bias)
      : (x: number, y: number): number =>
          round(round(round(round(x - k.aZero) * round(y - k.bZero)) * k.aScale) + k.bias);

  return () => {
    const from = arrayOf(arena, a);
    const other = arrayOf(arena, b);
    const to = arrayOf(arena, output);
    for (let i = 0; i < length; i++) {
      const y = combine(from[startOf(a) + i], other[startOf(b) + (i % bLength)]);
      to[startOf(output) + i] = stored(y, target);
    }
  };
}

export function bindLookup(arena: Arena, { input, output, table }: LookupStep): () => void {
  const length = sizeOf(input.shape);
  const own = table.slice();

  return () => {
    for (let i = 0; i < length; i++) arena.bytes[output.offset + i] = own[arena.bytes[input.offset + i]];
  };
}

/** exp(x - max) / sum, each f32. The only step that is not arithmetic alone: exp is V8's, the same on every platform. */
export function bindSoftmax(arena: Arena, { input, output }: SoftmaxStep): () => void {
  const [height, width, channels] = input.shape;
  const { scale } = affineOf(input);
  const target = targetOf(output, NO_CLAMP);
  const powers = new Float32Array(channels);

  return () => {
    const from = arrayOf(arena, input);
    const to = arrayOf(arena, output);
    for (let at = 0; at < height * width * channels; at += channels) {
      const sum = exponentials(from, startOf(input) + at, scale, powers);
      for (let c = 0; c < channels; c++) {
        const y = round(powers[c] / sum);
        to[startOf(output) + at + c] = stored(round(round(y / target.scale) + target.zeroPoint), target);
      }
    }
  };
}

function exponentials(x: Uint8Array | Float32Array, at: number, scale: number, powers: Float32Array): number {
  let max = Number.NEGATIVE_INFINITY;
  for (let c = 0; c < powers.length; c++) max = Math.max(max, x[at + c]);
  let sum = 0;
  for (let c = 0; c < powers.length; c++) {
    powers[c] = Math.exp((x[at + c] - max) * scale);
    sum = round(sum + powers[c]);
  }
  return sum;
}
