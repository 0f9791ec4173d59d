import type { Cell, Clamp, Window } from "../model/graph.ts";
import type { LowRank, QuantizedMatrix } from "../model/stages.ts";

/** A value in the arena. u8 values stand for `scale * channels[c] * (code - zeroPoint)`; f32 values for themselves. */
export interface Slot {
  /** Byte offset in the arena, a multiple of 16. */
  readonly offset: number;
  /** [height, width, channels]; a vector is [1, 1, length]. NHWC without the batch axis. */
  readonly shape: readonly [number, number, number];
  readonly type: "u8" | "f32";
  readonly scale: number;
  readonly zeroPoint: number;
  /** 1 for each if absent. Only depthwise steps read and only conv2d, depthwise and finish write codes with others. */
  readonly channels?: Float32Array | undefined;
}

/**
 * y[p, j] = clamp( gain-free main path + bias[j] + surrogate + residual[p, j] ), where
 *   main[p, j] = input.scale * sum over rows k of (x[p, k] - input.zeroPoint) * w[k, j]
 *   surrogate  = input.scale * sum over k of (x[p, k] - zeroPoint) * A[k, r], times B[r, j]; A kept in 8 bits
 * Positions outside the input count as zeroPoint. The sums per block are exact integers. The result is stored as it
 * is (f32 output) or as y / output.scale + output.zeroPoint, saturated to 0..255 and rounded, halves to even (u8).
 */
export interface ConvStep extends Window {
  readonly op: "conv2d";
  readonly name: string;
  readonly input: Slot;
  readonly output: Slot;
  readonly weights: QuantizedMatrix;
  /** Real units, one per column. */
  readonly bias: Float32Array;
  readonly surrogate: LowRank | undefined;
  /** u8, in the output's shape; may have a scale of its own. */
  readonly residual: Slot | undefined;
  readonly clamp: Clamp;
}

/** As conv2d, one filter per channel: weights are (kernel height * kernel width) x channels, one scale per channel. */
export interface DepthwiseStep extends Window {
  readonly op: "depthwise";
  readonly name: string;
  readonly input: Slot;
  readonly output: Slot;
  readonly weights: QuantizedMatrix;
  readonly bias: Float32Array;
  readonly clamp: Clamp;
}

/** f32 -> u8, or u8 -> f32. */
export interface ConvertStep {
  readonly op: "quantize" | "dequantize";
  readonly name: string;
  readonly input: Slot;
  readonly output: Slot;
}

/** The second input may be [1, 1, C] and is then the same for every position. */
export interface ElementwiseStep {
  readonly op: "add" | "mul";
  readonly name: string;
  readonly inputs: readonly [Slot, Slot];
  readonly output: Slot;
  readonly clamp: Clamp;
}

/** Input and output of max-pool have the same scale and zero point; average-pool rescales. */
export interface PoolStep extends Window {
  readonly op: "max-pool" | "average-pool";
  readonly name: string;
  readonly input: Slot;
  readonly output: Slot;
  readonly countPadding: boolean;
}

/** output = table[input], byte by byte: any activation of one variable, and a change of scale. */
export interface LookupStep {
  readonly op: "lookup";
  readonly name: string;
  readonly input: Slot;
  readonly output: Slot;
  readonly table: Uint8Array;
}

/** Over the channels of each position, computed in f32. */
export interface SoftmaxStep {
  readonly op: "softmax";
  readonly name: string;
  readonly input: Slot;
  readonly output: Slot;
}

/** Border of `code`; same scale in and out. */
export interface PadStep {
  readonly op: "pad";
  readonly name: string;
  readonly input: Slot;
  readonly output: Slot;
  readonly pads: readonly [number, number, number, number];
  readonly code: number;
}

/** Of the three axes [height, width, channels]; same scale in and out. */
export interface TransposeStep {
  readonly op: "transpose";
  readonly name: string;
  readonly input: Slot;
  readonly output: Slot;
  readonly permutation: readonly [number, number, number];
}

/** A part of axis 0, 1 or 2 of [height, width, channels], from `start` on; same scale in and out. */
export interface SliceStep {
  readonly op: "slice";
  readonly name: string;
  readonly input: Slot;
  readonly output: Slot;
  readonly axis: 0 | 1 | 2;
  readonly start: number;
}

/** Along axis 0, 1 or 2 of [height, width, channels]; all slots have the same scale and zero point. */
export interface ConcatStep {
  readonly op: "concat";
  readonly name: string;
  readonly inputs: readonly Slot[];
  readonly output: Slot;
  readonly axis: 0 | 1 | 2;
}

/** See Recurrence in model/graph.ts. */
export interface RecurrenceStep {
  readonly op: "recurrence";
  readonly name: string;
  readonly cell: Cell;
  readonly reverse: boolean;
  /** [T, 1, gates * H]. */
  readonly input: Slot;
  /** u8 [T, 1, H]. */
  readonly output: Slot;
  /** From the state, u8 [1, 1, H] in the output's scale, to what it brings to the gates, f32 [1, 1, gates * H]. */
  readonly product: ConvStep;
}

/** The input vectors of a convolution, one row of rows() codes per output position (im2col), for an accelerator. */
export interface GatherStep extends Window {
  readonly op: "gather";
  readonly name: string;
  readonly input: Slot;
  /** u8 [positions, 1, rows]. */
  readonly output: Slot;
}

/**
 * What follows a product done elsewhere. `product` holds sum over k of x[p, k] * w[k, j] in weight units (f32,
 * [positions, 1, columns]), `vectors` the input codes it was computed from:
 * y = input.scale * gain[j] * product + bias[j] + surrogate(vectors) + residual, then clamp and store as conv2d does.
 * The main path's zero point is already in `bias`.
 */
export interface FinishStep {
  readonly op: "finish";
  readonly name: string;
  readonly vectors: Slot;
  readonly product: Slot;
  readonly output: Slot;
  readonly gain: Float32Array;
  readonly bias: Float32Array;
  readonly surrogate: LowRank | undefined;
  readonly residual: Slot | undefined;
  readonly clamp: Clamp;
}

export type Step =
  | ConvStep
  | DepthwiseStep
  | ConvertStep
  | ElementwiseStep
  | PoolStep
  | LookupStep
  | SoftmaxStep
  | PadStep
  | TransposeStep
  | SliceStep
  | ConcatStep
  | RecurrenceStep
  | GatherStep
  | FinishStep;
