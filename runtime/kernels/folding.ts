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
 * in f32, in this order, each product and each sum rounded. Scales of channels are scales of columns: those of the
 * output divide what makes it, those of a depthwise input multiply its filters.
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
  /** How far z goes from zero at most. */
  readonly reach: Float64Array;
}

/** Of a product that is done here. */
export interface FoldedProduct extends Folded {
  /** How far the sum of a column's products goes from zero at most, in units of the output. */
  readonly reach: Float64Array;
}

/** The largest code of `a`: two of them times 255 fit 16 bits (NARROW of quantize/format.ts). */
const LARGEST = 64;

export function foldProduct({ input, output, weights, bias, clamp, ...step }: ConvStep | DepthwiseStep): FoldedProduct {
  const affine = affineOf(input);
  const target = targetOf(output, clamp);
  const { columns, codes, scales, blockLength } = weights;
  const sums = columnSums(codes, scales, blockLength, columns);
  const shift = affine.scale * affine.zeroPoint;
  const from = channelScales(input, columns);
  const to = channelScales(output, columns);
  const residual = foldResidual("residual" in step ? step.residual : undefined, target);
  return {
    scales: scales.map((scale, i) => {
      const j = i % columns;
      return (affine.scale * scale * from(j)) / (target.scale * to(j));
    }),
    bias: bias.map((value, j) => {
      const real = value - shift * sums.signed[j] * from(j);
      return real / (target.scale * to(j)) + target.zeroPoint - residual.zero;
    }),
    surrogate: foldSurrogate("surrogate" in step ? step.surrogate : undefined, affine, target, to),
    residualScale: residual.scale,
    target,
    reach: sums.greatest.map((sum, j) => (HIGHEST * affine.scale * from(j) * sum) / (target.scale * to(j))),
  };
}

const HIGHEST = 255;

/** Half of what MAGIC (rounding.ts) rounds, which is far more than f32 errors of the sums. */
const FAR = 2 ** 21;

/**
 * Whether storing needs no bounds: they are those of codes, to which packing saturates, and no sum of codes is out of
 * what can be rounded. So it is unless a clamp cuts off codes.
 */
export function saturates({ target, bias, reach, residualScale, surrogate }: FoldedProduct): boolean {
  const { codes, lowest, highest } = target;
  if (!codes || lowest > 0 || highest < HIGHEST) return false;
  const most = reach.map((value, j) => value + Math.abs(bias[j]) + HIGHEST * Math.abs(residualScale));
  surrogate?.b.forEach((value, i) => {
    most[i % most.length] += surrogate.reach[Math.floor(i / most.length)] * Math.abs(value);
  });
  return most.every((value) => value < FAR);
}

/**
 * The sums of each column of weights (rows x columns, their scales blocks x columns), and of what they are without
 * their signs. Every start waits for this, so codes are added before they meet their scale.
 */
function columnSums(codes: Int8Array, scales: ArrayLike<number>, blockLength: number, columns: number) {
  const sums = { signed: new Float64Array(columns), greatest: new Float64Array(columns) };
  const signed = new Int32Array(columns);
  const greatest = new Int32Array(columns);
  for (let from = 0, block = 0; from < codes.length; block += columns) {
    const end = Math.min(codes.length, from + blockLength * columns);
    for (; from < end; from += columns) {
      for (let j = 0; j < columns; j++) {
        const code = codes[from + j];
        signed[j] += code;
        greatest[j] += code < 0 ? -code : code;
      }
    }
    for (let j = 0; j < columns; j++) {
      sums.signed[j] += signed[j] * scales[block + j];
      sums.greatest[j] += greatest[j] * Math.abs(scales[block + j]);
    }
    signed.fill(0);
    greatest.fill(0);
  }
  return sums;
}

/** The same for a product that was done elsewhere: one block, whose scales are the gain. */
export function foldFinish({ vectors, output, gain, bias, surrogate, clamp, ...step }: FinishStep): Folded {
  const affine = affineOf(vectors);
  const target = targetOf(output, clamp);
  const to = channelScales(output, gain.length);
  const residual = foldResidual(step.residual, target);
  return {
    scales: gain.map((value, j) => (affine.scale * value) / (target.scale * to(j))),
    bias: bias.map((value, j) => value / (target.scale * to(j)) + target.zeroPoint - residual.zero),
    surrogate: foldSurrogate(surrogate, affine, target, to),
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

/** By channel; of f32 there are none. */
function channelScales({ type, channels }: Slot, columns: number): (column: number) => number {
  return type === "u8" && channels?.length === columns ? (column) => channels[column] : () => 1;
}

function foldSurrogate(
  surrogate: LowRank | undefined,
  input: Affine,
  target: Target,
  channelScale: (column: number) => number,
): FoldedSurrogate | undefined {
  if (!surrogate || surrogate.rank === 0) return undefined;
  const { rank, a, b } = surrogate;
  const units = columnUnits(a, rank);
  const codes = Int8Array.from(a, (value, i) => Math.round(value / units[i % rank]));
  const sums = columnSums(codes, units, codes.length, rank);
  const shift = input.scale * input.zeroPoint;
  const bias = Float32Array.from(sums.signed, (sum) => -shift * sum);
  return {
    rank,
    a: codes,
    scales: Float32Array.from(units, (unit) => input.scale * unit),
    bias,
    b: b.map((value, i) => value / (target.scale * channelScale(i % (b.length / rank)))),
    reach: sums.greatest.map((sum, r) => Math.abs(bias[r]) + HIGHEST * input.scale * sum),
  };
}

/** What a code of each column is worth. */
function columnUnits(a: Float32Array, rank: number): Float64Array {
  const peaks = new Float64Array(rank);
  for (let i = 0; i < a.length; i++) peaks[i % rank] = Math.max(peaks[i % rank], Math.abs(a[i]));
  return peaks.map((peak) => peak / LARGEST || 1);
}
