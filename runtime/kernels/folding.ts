import type { Affine, LowRank } from "../model/stages.ts";
import { affineOf, type Target, targetOf } from "./rounding.ts";
import type { ConvStep, DepthwiseStep, FinishStep, Slot } from "./step.ts";

/**
 * What can be known of a product before it runs, computed in f64 and rounded once, for all implementations: the
 * output's scale goes into scales, bias and the surrogate, the inputs' zero points into the bias. What is left is
 *
 *   y = bias[j] + (sum of codes of block 0) * scales[0, j] + (... block 1) * scales[1, j] + ... + z[0] * b[0, j] + ...
 *       + residual code * residualScale
 *
 * in f32, in this order, each product and each sum rounded.
 */
export interface Folded {
  readonly scales: Float32Array;
  readonly bias: Float32Array;
  readonly surrogate: FoldedSurrogate | undefined;
  /** 0 without a residual. */
  readonly residualScale: number;
  readonly target: Target;
}

/**
 * z[r] = bias[r] + (sum of codes * a[k, r] over SURROGATE_BLOCK rows) * scales[r] + ..., block by block like y. `a` has
 * 16 bits per column: next to activations of 8 bits that is as good as f32, and z is the same on every machine.
 */
export interface FoldedSurrogate {
  readonly rank: number;
  /** rows x rank. */
  readonly a: Int16Array;
  /** blocks x rank. */
  readonly scales: Float32Array;
  readonly bias: Float32Array;
  /** rank x columns. */
  readonly b: Float32Array;
}

/** 256 products of 255 and 2^15 - 1 are still below 2^31. */
export const SURROGATE_BLOCK = 256;

export function foldProduct({ input, output, weights, bias, clamp, ...step }: ConvStep | DepthwiseStep): Folded {
  const affine = affineOf(input);
  const target = targetOf(output, clamp);
  const { rows, columns, codes, blockLength } = weights;
  const zeros = new Float64Array(columns);
  for (let k = 0; k < rows; k++) {
    const block = Math.floor(k / blockLength) * columns;
    for (let j = 0; j < columns; j++) zeros[j] += codes[k * columns + j] * weights.scales[block + j];
  }
  const shift = affine.scale * affine.zeroPoint;
  const residual = foldResidual("residual" in step ? step.residual : undefined, target);
  return {
    scales: weights.scales.map((scale) => (affine.scale * scale) / target.scale),
    bias: bias.map((value, j) => (value - shift * zeros[j]) / target.scale + target.zeroPoint - residual.zero),
    surrogate: foldSurrogate("surrogate" in step ? step.surrogate : undefined, rows, affine, target),
    residualScale: residual.scale,
    target,
  };
}

/** The same for a product that was done elsewhere: one block, whose scales are the gain. */
export function foldFinish({ vectors, output, gain, bias, surrogate, clamp, ...step }: FinishStep): Folded {
  const affine = affineOf(vectors);
  const target = targetOf(output, clamp);
  const residual = foldResidual(step.residual, target);
  return {
    scales: gain.map((value) => (affine.scale * value) / target.scale),
    bias: bias.map((value) => value / target.scale + target.zeroPoint - residual.zero),
    surrogate: foldSurrogate(surrogate, vectors.shape[2], affine, target),
    residualScale: residual.scale,
    target,
  };
}

/** What a code of the residual is worth in units of the output, and what its zero point stands for. */
function foldResidual(residual: Slot | undefined, target: Target): { scale: number; zero: number } {
  if (!residual) return { scale: 0, zero: 0 };
  const scale = Math.fround(residual.scale / target.scale);
  return { scale, zero: scale * residual.zeroPoint };
}

function foldSurrogate(
  surrogate: LowRank | undefined,
  rows: number,
  input: Affine,
  target: Target,
): FoldedSurrogate | undefined {
  if (!surrogate || surrogate.rank === 0) return undefined;
  const { rank, a, b } = surrogate;
  const units = columnUnits(a, rank);
  const codes = new Int16Array(rows * rank);
  const sums = new Float64Array(rank);
  for (let i = 0; i < codes.length; i++) {
    codes[i] = Math.round(a[i] / units[i % rank]);
    sums[i % rank] += codes[i];
  }
  const blocks = Math.ceil(rows / SURROGATE_BLOCK);
  return {
    rank,
    a: codes,
    scales: Float32Array.from({ length: blocks * rank }, (_, i) => input.scale * units[i % rank]),
    bias: Float32Array.from(units, (unit, r) => -input.scale * input.zeroPoint * unit * sums[r]),
    b: b.map((value) => value / target.scale),
  };
}

/** What a 16-bit code of each column is worth. */
function columnUnits(a: Float32Array, rank: number): Float64Array {
  const peaks = new Float64Array(rank);
  for (let i = 0; i < a.length; i++) peaks[i % rank] = Math.max(peaks[i % rank], Math.abs(a[i]));
  return peaks.map((peak) => peak / 32767 || 1);
}
