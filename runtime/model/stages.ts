import type { Graph } from "./graph.ts";

/**
 * A model changes type as it gets closer to running, so a step can't be skipped or done twice:
 *
 *   bytes --import--> FloatModel --quantize--> QuantizedModel --polarize--> PolarizedModel --compile--> Plan
 *
 * The first three are portable; a polarized model is what a device stores (file.ts). A Plan belongs to one process.
 */
export interface FloatModel {
  readonly stage: "float";
  readonly source: { readonly format: "onnx" | "tflite"; readonly version: number };
  readonly graph: Graph;
  /** For every layer of the graph, by name. */
  readonly weights: ReadonlyMap<string, FloatWeights>;
}

export interface FloatWeights {
  /** rows x columns, row-major (see Weighted in graph.ts). */
  readonly weights: Float32Array;
  /** One per column. */
  readonly bias: Float32Array;
}

export interface QuantizedModel {
  readonly stage: "quantized";
  readonly graph: Graph;
  /** How each value of the graph is stored in eight bits. */
  readonly ranges: ReadonlyMap<string, Affine>;
  readonly layers: ReadonlyMap<string, QuantizedLayer>;
}

export interface PolarizedModel {
  readonly stage: "polarized";
  readonly graph: Graph;
  readonly ranges: ReadonlyMap<string, Affine>;
  readonly layers: ReadonlyMap<string, PolarizedLayer>;
  /** The very device that the accelerator corrections belong to: they are worthless on another one. */
  readonly accelerator: { readonly uid: string; readonly levels?: readonly DriftLevel[] } | undefined;
}

/** What an accelerator's layers were corrected by when its tiles had drifted so far: good again when they have. */
export interface DriftLevel {
  /** How strong the signals of each tile were, of fresh ones'. */
  readonly strengths: readonly number[];
  /** By layer. */
  readonly corrections: ReadonlyMap<string, Correction>;
}

/** A number in eight bits: real = scale * channels[c] * (code - zeroPoint), c the channel, which is the last axis. */
export interface Affine {
  readonly scale: number;
  /** 0 .. 255; the code of the real zero. */
  readonly zeroPoint: number;
  /** 1 for each if absent, as it is wherever channels are summed up (quantize/ranges.ts). */
  readonly channels?: Float32Array | undefined;
}

/** The numbers that codes stand for; `codes` is a whole number of positions, each with all its channels. */
export function realOf(codes: Uint8Array, { scale, zeroPoint, channels = WHOLE }: Affine): Float32Array {
  const real = new Float32Array(codes.length);
  const count = channels.length;
  for (let at = 0; at < codes.length; at += count) {
    for (let c = 0; c < count; c++) real[at + c] = scale * channels[c] * (codes[at + c] - zeroPoint);
  }
  return real;
}

const WHOLE = Float32Array.of(1);

export const formatNames = [
  "int8",
  "nf4",
  "int4",
  "pot4",
  "nf3",
  "int3",
  "nf2",
  "int2",
  "ternary",
  "dpq",
  "dpq-fp8",
] as const;
export type FormatName = (typeof formatNames)[number];

/** alps: by the measured change of the answers (polarize/mix/sensitivity.ts). eagl: by the codes' entropy (polarize/mix/entropy.ts). */
export const criterionNames = ["alps", "eagl"] as const;
export type CriterionName = (typeof criterionNames)[number];

/** What a weight's code is chosen by; see quantize/rounding.ts. */
export const roundingNames = ["gptq", "adaround", "nearest"] as const;
export type RoundingName = (typeof roundingNames)[number];

export interface QuantizedLayer {
  readonly format: FormatName;
  readonly matrix: QuantizedMatrix;
  /** One per column, real units. */
  readonly bias: Float32Array;
}

/**
 * Weights as the kernels multiply them: w[row, column] = scales[row / blockLength | 0, column] * codes[row, column].
 * int8 has one block per column (blockLength >= rows); the lower formats have small blocks. A scale may be negative.
 */
export interface QuantizedMatrix {
  readonly rows: number;
  readonly columns: number;
  /** rows x columns, row-major, in -127 .. 127; the formats use less of it (quantize/format.ts). */
  readonly codes: Int8Array;
  /** ceil(rows / blockLength) x columns. */
  readonly scales: Float32Array;
  readonly blockLength: number;
  /** Of grouped formats (quantize/grouped.ts): the least level of each block, in the order of the scales. */
  readonly lowest?: Int8Array | undefined;
}

/** A quantized layer and what repairs it, fitted once for each place where its main path can be computed. */
export interface PolarizedLayer {
  readonly format: FormatName;
  readonly matrix: QuantizedMatrix;
  readonly digital: Correction;
  /** What is left with it: |answer - float answer| / |float answer| on the calibration samples, root mean square. */
  readonly error?: number | undefined;
  /** Only for layers that an accelerator held when the model was calibrated on it. */
  readonly accelerator: Correction | undefined;
}

/** y = gain * (x Wq) + bias + (x A) B, gain and bias per column. */
export interface Correction {
  readonly gain: Float32Array;
  readonly bias: Float32Array;
  readonly surrogate: LowRank | undefined;
}

/** The high-precision low-rank path: y += (x A) B, with A rows x rank and B rank x columns, both row-major f32. */
export interface LowRank {
  readonly rank: number;
  readonly a: Float32Array;
  readonly b: Float32Array;
}
