import type { Correction } from "../model/stages.ts";
import { center, columnMeans, lowRank, meanDiagonal, ridged, solve } from "../tensor/linear.ts";
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

/** Added to the input covariance when a rank is chosen, as a share of its mean diagonal: directions never seen count a little. */
const UNSEEN = 0.01;
/** How sceptically the error made by earlier layers is regressed on this layer's inputs, for the low-rank path. */
const EARLIER = 1;
/** The same for the codes, which take in all of it and not its greatest components alone. (Keywords at two bits: KL .040, with 1 .049.) */
const EARLIER_IN_CODES = 3;
/** The same for the unknown error of an accelerator, which is most of the error there (cross-validated on KWS and IC). */
const ANALOG = 0.1;
/** A component that explains less than this share of the output's variance is not worth its multiplications. */
const NEGLIGIBLE = 1e-5;

/** What a layer's weights should be, given the inputs that it really gets. */
interface Ideal {
  /** rows x columns. */
  readonly weights: Float32Array;
  /** Covariance of the inputs, rows x rows. */
  readonly moments: Float64Array;
}

/** To round. */
export function idealOf(seen: Observations, weights: Float32Array, bias: Float32Array): Ideal {
  return makingGood(seen, weights, bias, EARLIER_IN_CODES);
}

/**
 * The float weights, changed so that they make good what earlier layers got wrong, as far as this layer's inputs
 * explain it: by ridge regression.
 */
function makingGood(seen: Observations, weights: Float32Array, bias: Float32Array, sceptical: number): Ideal {
  const gain = new Float32Array(seen.columns).fill(1);
  const { moments, centered } = inputStatistics(seen);
  const wrong = residual(seen, weights, gain, bias);
  const change = explained(seen, centered, moments, wrong, sceptical * (1 + seen.rows / seen.count));
  return { weights: weights.map((w, i) => w + change[i]), moments };
}

/**
 * The closed form for a known weight error. With E the error of the quantized weights to the ideal ones and R the
 * covariance of the inputs, the best rank-k path A B minimises E||x (E - A B)||^2: A = E P, B = P' with P the top
 * eigenvectors of E' R E. The bias takes the mean of the rest.
 * @param weights float, rows x columns
 * @param quantized what the kernels multiply by, rows x columns
 */
export function correctKnown(
  seen: Observations,
  weights: Float32Array,
  quantized: Float32Array,
  bias: Float32Array,
  rank: number,
): Correction {
  const gain = new Float32Array(seen.columns).fill(1);
  const ideal = makingGood(seen, weights, bias, EARLIER);
  const error = Float64Array.from(ideal.weights, (w, i) => w - quantized[i]);
  const surrogate = surrogateOf(seen, error, ideal.moments, rank);
  const left = residual(seen, quantized, gain, bias, surrogate);
  return { gain, bias: plus(bias, columnMeans(left, seen.count, seen.columns)), surrogate };
}

/**
 * The closed form for an analog main path, observed only through its answers. Gain and offset per column first (linear
 * regression, shrunk towards one common gain), then the low rank on the rest: the part of the weight error that is
 * known (W - gain * nominal weights) plus ridge regression for the part that is not.
 * @param answers count x columns: input scale times the raw products, zero point included
 * @param nominal what the accelerator believes its weights to be, rows x columns
 */
export function correctUnknown(
  seen: Observations,
  answers: Float32Array,
  weights: Float32Array,
  nominal: Float32Array,
  rank: number,
): Correction {
  const { rows, columns, count, targets } = seen;
  const gain = columnGains(answers, targets, count, columns);
  const scaled = answers.map((y, i) => y * gain[i % columns]);
  const rest = targets.map((t, i) => t - scaled[i]);
  const bias = Float32Array.from(columnMeans(rest, count, columns));
  if (rank === 0) return { gain, bias, surrogate: undefined };
  const { moments, centered } = inputStatistics(seen);
  const known = Float64Array.from(weights, (w, i) => w - gain[i % columns] * nominal[i]);
  const unexplained = residualAfter(rest, bias, product(seen.inputs, known, count, rows, columns));
  const unknown = explained(seen, centered, moments, unexplained, ANALOG * (1 + (10 * rows) / count));
  const surrogate = surrogateOf(
    seen,
    known.map((k, i) => k + unknown[i]),
    moments,
    rank,
  );
  const path = surrogate ? throughSurrogate(seen, surrogate) : new Float64Array(rest.length);
  return {
    gain,
    bias: Float32Array.from(
      columnMeans(
        rest.map((r, i) => r - path[i]),
        count,
        columns,
      ),
    ),
    surrogate,
  };
}

/** Gain and offset of each column anew for an analog main path that has drifted; its low-rank path is kept. */
export function correctColumns(
  seen: Observations,
  answers: Float32Array,
  surrogate: Correction["surrogate"],
): Correction {
  const { count, columns } = seen;
  const path = surrogate ? throughSurrogate(seen, surrogate) : new Float64Array(seen.targets.length);
  const targets = seen.targets.map((t, i) => t - path[i]);
  const gain = columnGains(answers, targets, count, columns);
  const left = targets.map((t, i) => t - gain[i % columns] * answers[i]);
  return { gain, bias: Float32Array.from(columnMeans(left, count, columns)), surrogate };
}

/** Gain and offset per channel of a depthwise layer, which has no low-rank structure. */
export function correctChannels(seen: Observations, answers: Float32Array, bias: Float32Array): Correction {
  const { count, columns, targets } = seen;
  const gain = columnGains(answers, targets, count, columns).map((g) => Math.min(2, Math.max(0.5, g)));
  const left = targets.map((t, i) => t - bias[i % columns] - gain[i % columns] * answers[i]);
  return { gain, bias: plus(bias, columnMeans(left, count, columns)), surrogate: undefined };
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

/** Regression of the targets on the answers, column by column: cov / var, shrunk towards the gain of all columns together. */
export function columnGains(
  answers: Float32Array,
  targets: Float32Array,
  count: number,
  columns: number,
): Float32Array {
  const y = centeredCopy(answers, count, columns);
  const t = centeredCopy(targets, count, columns);
  const covariance = new Float64Array(columns);
  const variance = new Float64Array(columns);
  for (let i = 0; i < y.length; i++) {
    covariance[i % columns] += y[i] * t[i];
    variance[i % columns] += y[i] * y[i];
  }
  const total = sum(variance);
  if (total === 0) return new Float32Array(columns).fill(1);
  const common = sum(covariance) / total;
  const shrink = (1e-3 + 1 / count) * (total / columns);
  return Float32Array.from(covariance, (c, j) => (c + shrink * common) / (variance[j] + shrink));
}

interface InputStatistics {
  /** Covariance of the inputs, rows x rows. */
  readonly moments: Float64Array;
  readonly centered: Float32Array;
}

function inputStatistics({ inputs, count, rows }: Observations): InputStatistics {
  const centered = Float32Array.from(inputs);
  center(centered, columnMeans(inputs, count, rows));
  return { moments: secondMoment(centered, count, rows), centered };
}

/** Ridge regression of an output error on the inputs: rows x columns. `ridge` is a share of the mean input variance. */
function explained(
  { count, rows, columns }: Observations,
  centered: Float32Array,
  moments: Float64Array,
  error: Float64Array,
  ridge: number,
): Float64Array {
  center(error, columnMeans(error, count, columns));
  const cross = crossProduct(centered, error, count, rows, columns).map((c) => c / count);
  return solve(ridged(moments, rows, ridge * meanDiagonal(moments, rows) + Number.MIN_VALUE), cross, rows, columns);
}

function surrogateOf(
  seen: Observations,
  error: Float64Array,
  moments: Float64Array,
  rank: number,
): Correction["surrogate"] {
  const { rows, columns } = seen;
  const most = Math.min(rank, Math.floor((rows * columns) / (rows + columns)));
  if (most === 0) return undefined;
  const metric = ridged(moments, rows, UNSEEN * meanDiagonal(moments, rows) + 1e-12);
  const { a, b, eigenvalues } = lowRank(error, metric, rows, columns, most);
  const floor = NEGLIGIBLE * totalVariance(seen);
  const kept = Math.min(most, eigenvalues.filter((value) => value > floor).length);
  return kept === 0 ? undefined : firstRanks(a, b, rows, columns, kept);
}

function firstRanks(
  a: Float32Array,
  b: Float32Array,
  rows: number,
  columns: number,
  rank: number,
): Correction["surrogate"] {
  const stride = a.length / rows;
  const kept = Float32Array.from({ length: rows * rank }, (_, i) => a[Math.floor(i / rank) * stride + (i % rank)]);
  return { rank, a: kept, b: b.slice(0, rank * columns) };
}

function totalVariance({ targets, count, columns }: Observations): number {
  const centered = centeredCopy(targets, count, columns);
  return centered.reduce((total, x) => total + x * x, 0) / count;
}

/** targets - (gain * inputs w + bias + surrogate). */
function residual(
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

function residualAfter(rest: Float32Array, bias: Float32Array, path: Float64Array): Float64Array {
  return path.map((y, i) => rest[i] - bias[i % bias.length] - y);
}

function throughSurrogate(
  { inputs, count, rows, columns }: Observations,
  { rank, a, b }: NonNullable<Correction["surrogate"]>,
): Float64Array {
  return product(product(inputs, a, count, rows, rank), b, count, rank, columns);
}

function centeredCopy(x: Float32Array, rows: number, columns: number): Float64Array {
  const copy = Float64Array.from(x);
  center(copy, columnMeans(x, rows, columns));
  return copy;
}

function plus(a: Float32Array, b: ArrayLike<number>): Float32Array {
  return a.map((x, i) => x + b[i]);
}

function sum(x: Float64Array): number {
  return x.reduce((total, value) => total + value, 0);
}
