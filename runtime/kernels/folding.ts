import type { Affine, LowRank, QuantizedMatrix } from "../model/stages.ts";
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
 * z[r] = bias[r] + (sum of codes * a[k, r] over all rows) * scales[r]. `a` has codes like those of weights, one scale
 * per column: next to activations of 8 bits, and for what is itself a small correction, that is as good as f32.
 */
export interface FoldedSurrogate {
  readonly rank: number;
  /** rows x rank. */
  readonly a: Int8Array;
  readonly scales: Float32Array;
  readonly bias: Float32Array;
  /** rank x columns. */
  readonly b: Float32Array;
}

/** The largest code of `a`: two of them times 255 fit 16 bits (NARROW of quantize/format.ts). */
const LARGEST = 64;

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
    surrogate: foldSurrogate("surrogate" in step ? step.surrogate : undefined, affine, target),
    residualScale: residual.scale,
    target,
  };
}

/** Half of what MAGIC (rounding.ts) rounds, which is far more than f32 errors of the sums. */
const FAR = 2 ** 21;

/**
 * Whether storing needs no bounds: they are those of codes, to which packing saturates, and no sum of codes is out of
 * what can be rounded. So it is unless a clamp cuts off codes.
 */
export function saturates({ target, bias, ...folded }: Folded, weights: QuantizedMatrix): boolean {
  const { codes, lowest, highest } = target;
  if (!codes || lowest > 0 || highest < 255) return false;
  const columns = bias.length;
  const most = Float64Array.from(bias, (value) => Math.abs(value) + 255 * Math.abs(folded.residualScale));
  addMost(most, weights.codes, weights.blockLength, folded.scales);
  const { surrogate } = folded;
  if (surrogate) {
    const z = Float64Array.from(surrogate.bias, Math.abs);
    addMost(z, surrogate.a, surrogate.a.length, surrogate.scales);
    for (const [i, value] of surrogate.b.entries()) most[i % columns] += z[Math.floor(i / columns)] * Math.abs(value);
  }
  return most.every((value) => value < FAR);
}

/** Adds to `most` how far products of any codes go: rows x columns of weights, whose scales are blocks x columns. */
function addMost(most: Float64Array, weights: Int8Array, blockLength: number, scales: Float32Array): void {
  const columns = most.length;
  for (let k = 0, i = 0; i < weights.length; k++) {
    const block = Math.floor(k / blockLength) * columns;
    for (let j = 0; j < columns; j++, i++) most[j] += 255 * Math.abs(weights[i] * scales[block + j]);
  }
}

/** The same for a product that was done elsewhere: one block, whose scales are the gain. */
export function foldFinish({ vectors, output, gain, bias, surrogate, clamp, ...step }: FinishStep): Folded {
  const affine = affineOf(vectors);
  const target = targetOf(output, clamp);
  const residual = foldResidual(step.residual, target);
  return {
    scales: gain.map((value) => (affine.scale * value) / target.scale),
    bias: bias.map((value) => value / target.scale + target.zeroPoint - residual.zero),
    surrogate: foldSurrogate(surrogate, affine, target),
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

function foldSurrogate(surrogate: LowRank | undefined, input: Affine, target: Target): FoldedSurrogate | undefined {
  if (!surrogate || surrogate.rank === 0) return undefined;
  const { rank, a, b } = surrogate;
  const units = columnUnits(a, rank);
  const codes = Int8Array.from(a, (value, i) => Math.round(value / units[i % rank]));
  const sums = new Float64Array(rank);
  for (let i = 0; i < codes.length; i++) sums[i % rank] += codes[i];
  return {
    rank,
    a: codes,
    scales: Float32Array.from(units, (unit) => input.scale * unit),
    bias: Float32Array.from(units, (unit, r) => -input.scale * input.zeroPoint * unit * sums[r]),
    b: b.map((value) => value / target.scale),
  };
}

/** What a code of each column is worth. */
function columnUnits(a: Float32Array, rank: number): Float64Array {
  const peaks = new Float64Array(rank);
  for (let i = 0; i < a.length; i++) peaks[i % rank] = Math.max(peaks[i % rank], Math.abs(a[i]));
  return peaks.map((peak) => peak / LARGEST || 1);
}
