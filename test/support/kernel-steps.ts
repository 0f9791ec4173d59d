import { uniform } from "../../runtime/base/random.ts";
import type { ConvStep, DepthwiseStep, Slot } from "../../runtime/kernels/step.ts";
import { NO_CLAMP, type Window } from "../../runtime/model/graph.ts";
import type { LowRank, QuantizedMatrix } from "../../runtime/model/stages.ts";

export type Shape = readonly [number, number, number];

/** Places slots one after the other, as a plan would, with a guard of 32 bytes behind each one. */
export class Slots {
  bytes = 0;
  readonly all: Slot[] = [];

  u8(shape: Shape, scale = 1, zeroPoint = 0): Slot {
    return this.#place({ shape, type: "u8", scale, zeroPoint }, shape[0] * shape[1] * shape[2]);
  }

  f32(shape: Shape): Slot {
    return this.#place({ shape, type: "f32", scale: 1, zeroPoint: 0 }, 4 * shape[0] * shape[1] * shape[2]);
  }

  #place(slot: Omit<Slot, "offset">, bytes: number): Slot {
    const placed = { ...slot, offset: this.bytes };
    this.bytes += bytes + 32 + (-bytes & 15);
    this.all.push(placed);
    return placed;
  }
}

export const ONE_BLOCK: number = 2 ** 16;
export const PLAIN: Window = { kernel: [1, 1], stride: [1, 1], dilation: [1, 1], pads: [0, 0, 0, 0] };

/** A convolution as a test names it. */
export interface ConvCase {
  readonly input: Shape;
  readonly columns: number;
  readonly window?: Partial<Window>;
  readonly blockLength?: number;
  readonly rank?: number;
  readonly residual?: boolean;
  /** Weights up to +- 64, which the relaxed kernels take. */
  readonly narrow?: boolean;
  readonly type?: "u8" | "f32";
  readonly clamp?: { readonly min: number; readonly max: number };
}

export interface Built<S> {
  readonly step: S;
  readonly slots: Slots;
}

export function convStep(of: ConvCase, seed: number): Built<ConvStep> {
  const window = { ...PLAIN, ...of.window };
  const rows = window.kernel[0] * window.kernel[1] * of.input[2];
  const blockLength = of.blockLength ?? ONE_BLOCK;
  const { slots, input, output } = placed(of, window, rows);
  const step: ConvStep = {
    op: "conv2d",
    name: `conv ${seed}`,
    ...window,
    input,
    output,
    weights: randomMatrix(rows, of.columns, blockLength, seed + 1, of.narrow ? 64 : 127),
    bias: randomFloats(of.columns, seed + 2),
    surrogate: of.rank === undefined ? undefined : randomLowRank(rows, of.columns, of.rank, seed + 3),
    residual: of.residual ? slots.u8(output.shape, 0.0091, 140) : undefined,
    clamp: of.clamp ?? NO_CLAMP,
  };
  return { step, slots };
}

export function depthwiseStep(of: Omit<ConvCase, "columns">, seed: number): Built<DepthwiseStep> {
  const window = { ...PLAIN, ...of.window };
  const [, , channels] = of.input;
  const rows = window.kernel[0] * window.kernel[1];
  const { slots, input, output } = placed({ ...of, columns: channels }, window, rows);
  const step: DepthwiseStep = {
    op: "depthwise",
    name: `depthwise ${seed}`,
    ...window,
    input,
    output,
    weights: randomMatrix(rows, channels, ONE_BLOCK, seed + 1, of.narrow ? 64 : 127),
    bias: randomFloats(channels, seed + 2),
    clamp: of.clamp ?? NO_CLAMP,
  };
  return { step, slots };
}

/** Channels of a slot with a scale of 1/4 .. 1 each. */
export function withChannels(slot: Slot, seed: number): Slot {
  const next = uniform(seed);
  return { ...slot, channels: Float32Array.from({ length: slot.shape[2] }, () => 0.25 + 0.75 * next()) };
}

/** Scales so that outputs fill their range: values of about +- 1. */
function placed(of: ConvCase, window: Window, rows: number): { slots: Slots; input: Slot; output: Slot } {
  const slots = new Slots();
  const input = slots.u8(of.input, 1 / 128 / Math.sqrt(Math.max(1, rows)), 117);
  const shape: Shape = [...outputSize(of.input, window), of.columns];
  return { slots, input, output: of.type === "f32" ? slots.f32(shape) : slots.u8(shape, 0.0123, 131) };
}

export function outputSize([height, width]: Shape, { kernel, stride, dilation, pads }: Window): [number, number] {
  const count = (axis: 0 | 1, length: number): number =>
    Math.floor((length + pads[axis] + pads[axis + 2] - (kernel[axis] - 1) * dilation[axis] - 1) / stride[axis]) + 1;
  return [count(0, height), count(1, width)];
}

export function randomMatrix(
  rows: number,
  columns: number,
  blockLength: number,
  seed: number,
  largest = 127,
): QuantizedMatrix {
  const next = uniform(seed);
  const codes = Int8Array.from({ length: rows * columns }, () => Math.round(largest * (2 * next() - 1)));
  const scales = Float32Array.from({ length: Math.ceil(rows / blockLength) * columns }, () => (0.5 + next()) / largest);
  return { rows, columns, codes, scales, blockLength };
}

/** A as the kernels keep it, in 64ths of each column's greatest. */
function randomLowRank(rows: number, columns: number, rank: number, seed: number): LowRank {
  const a = randomFloats(rows * rank, seed).map((x, i) => (i < rank ? 0.5 : Math.round(128 * x) / 128));
  return { rank, a, b: randomFloats(rank * columns, seed + 1) };
}

/** -0.5 .. 0.5 */
export function randomFloats(length: number, seed: number): Float32Array {
  const next = uniform(seed);
  return Float32Array.from({ length }, () => next() - 0.5);
}

export function randomCodes(length: number, seed: number): Uint8Array {
  const next = uniform(seed);
  return Uint8Array.from({ length }, () => 256 * next());
}
