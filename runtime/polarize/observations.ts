import type { Correction } from "../model/stages.ts";
import { center, columnMeans, meanDiagonal, ridged, solve } from "../tensor/linear.ts";
import { crossProduct, product, secondMoment } from "../tensor/products.ts";

/** What a layer's correction is fitted to. All matrices are row-major. */
export interface Observations {
  readonly rows: number;
  readonly columns: number;
  /** Observed vectors. */
  readonly count: number;
  /** count x rows: inputs as the layer really gets them, in real numbers. */
  readonly inputs: Float32Array;
  /** count x columns: outputs before the activation as they should be. */
  readonly targets: Float32Array;
}

/**
 * What a correction leaves: |corrected - target| / |target|, root mean square over all outputs.
 * @param answers of the main path without bias, count x columns
 */
export function errorLeft(seen: Observations, answers: ArrayLike<number>, correction: Correction): number {
  const { gain, bias, surrogate } = correction;
  const path = surrogate && throughSurrogate(seen, surrogate);
  const { targets, columns } = seen;
  let [error, power] = [0, 0];
  for (let i = 0; i < targets.length; i++) {
    const j = i % columns;
    error += (gain[j] * answers[i] + bias[j] + (path ? path[i] : 0) - targets[i]) ** 2;
    power += targets[i] ** 2;
  }
  return power === 0 ? 0 : Math.sqrt(error / power);
}

export interface InputStatistics {
  /** Covariance of the inputs, rows x rows. */
  readonly moments: Float64Array;
  readonly centered: Float32Array;
}

export function inputStatistics({ inputs, count, rows }: Observations): InputStatistics {
  const centered = Float32Array.from(inputs);
  center(centered, columnMeans(inputs, count, rows));
  return { moments: secondMoment(centered, count, rows), centered };
}

/** Covariance of the inputs and an output error, rows x columns; the error is centered in place. */
export function covariance(
  { count, rows, columns }: Observations,
  centered: Float32Array,
  error: Float64Array,
): Float64Array {
  center(error, columnMeans(error, count, columns));
  return crossProduct(centered, error, count, rows, columns).map((c) => c / count);
}

/** Ridge regression of an output error on the inputs: rows x columns. `ridge` is a share of the mean input variance. */
export function regression(
  { rows, columns }: Observations,
  moments: Float64Array,
  cross: Float64Array,
  ridge: number,
): Float64Array {
  return solve(ridged(moments, rows, ridge * meanDiagonal(moments, rows) + Number.MIN_VALUE), cross, rows, columns);
}

export function totalVariance({ targets, count, columns }: Observations): number {
  const centered = centeredCopy(targets, count, columns);
  return centered.reduce((total, x) => total + x * x, 0) / count;
}

/** targets - (gain * inputs w + bias + surrogate). */
export function residual(
  seen: Observations,
  w: Float32Array,
  gain: Float32Array,
  bias: Float32Array,
  surrogate?: Correction["surrogate"],
): Float64Array {
  const { inputs, targets, count, rows, columns } = seen;
  const rest = product(inputs, w, count, rows, columns);
  const path = surrogate ? throughSurrogate(seen, surrogate) : undefined;
  for (let i = 0; i < rest.length; i++) {
    const j = i % columns;
    rest[i] = targets[i] - gain[j] * rest[i] - bias[j] - (path ? path[i] : 0);
  }
  return rest;
}

export function throughSurrogate(
  { inputs, count, rows, columns }: Observations,
  { rank, a, b }: NonNullable<Correction["surrogate"]>,
): Float64Array {
  return product(product(inputs, a, count, rows, rank), b, count, rank, columns);
}

export function centeredCopy(x: Float32Array, rows: number, columns: number): Float64Array {
  const copy = Float64Array.from(x);
  center(copy, columnMeans(x, rows, columns));
  return copy;
}
