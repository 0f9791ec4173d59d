import type { Correction } from "../model/stages.ts";
import { columnMeans, lowRank, meanDiagonal, ridged } from "../tensor/linear.ts";
import { product } from "../tensor/products.ts";
import {
  centeredCopy,
  covariance,
  inputStatistics,
  type Observations,
  regression,
  residual,
  throughSurrogate,
  totalVariance,
} from "./observations.ts";

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

/** What a layer with its float weights would get wrong because of the layers before it, as its inputs tell. */
interface Inherited {
  /** Covariance of the inputs, rows x rows. */
  readonly moments: Float64Array;
  /** Covariance of the inputs and of what is wrong with the outputs, rows x columns. */
  readonly cross: Float64Array;
}

export function inheritedBy(seen: Observations, weights: Float32Array, bias: Float32Array): Inherited {
  const { moments, centered } = inputStatistics(seen);
  const wrong = residual(seen, weights, new Float32Array(seen.columns).fill(1), bias);
  return { moments, cross: covariance(seen, centered, wrong) };
}

/** The weights to round, rows x columns: those that make good what the layer inherits. */
export function idealOf(seen: Observations, weights: Float32Array, inherited: Inherited): Float32Array {
  return makingGood(seen, weights, inherited, EARLIER_IN_CODES);
}

/** The float weights, changed by what ridge regression explains of the errors that the layer inherits. */
function makingGood(
  seen: Observations,
  weights: Float32Array,
  { moments, cross }: Inherited,
  sceptical: number,
): Float32Array {
  const change = regression(seen, moments, cross, sceptical * (1 + seen.rows / seen.count));
  return weights.map((w, i) => w + change[i]);
}

/**
 * The closed form for a known weight error. With E the error of the quantized weights to the ideal ones and R the
 * covariance of the inputs, the best rank-k path A B minimises E||x (E - A B)||^2: A = E P, B = P' with P the top
 * eigenvectors of E' R E. The bias takes the mean of the rest.
 * @param weights float, rows x columns
 * @param quantized what the kernels multiply by, rows x columns
 * @param inherited by the layer on what is seen, if that is known already
 */
export function correctKnown(
  seen: Observations,
  weights: Float32Array,
  quantized: Float32Array,
  bias: Float32Array,
  rank: number,
  inherited?: Inherited,
): Correction {
  const gain = new Float32Array(seen.columns).fill(1);
  const surrogate =
    rank > 0 ? knownPath(seen, weights, quantized, rank, inherited ?? inheritedBy(seen, weights, bias)) : undefined;
  const left = residual(seen, quantized, gain, bias, surrogate);
  return { gain, bias: plus(bias, columnMeans(left, seen.count, seen.columns)), surrogate };
}

function knownPath(
  seen: Observations,
  weights: Float32Array,
  quantized: Float32Array,
  rank: number,
  inherited: Inherited,
): Correction["surrogate"] {
  const ideal = makingGood(seen, weights, inherited, EARLIER);
  const error = Float64Array.from(ideal, (w, i) => w - quantized[i]);
  return surrogateOf(seen, error, inherited.moments, rank);
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
  const cross = covariance(seen, centered, unexplained);
  const unknown = regression(seen, moments, cross, ANALOG * (1 + (10 * rows) / count));
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

function residualAfter(rest: Float32Array, bias: Float32Array, path: Float64Array): Float64Array {
  return path.map((y, i) => rest[i] - bias[i % bias.length] - y);
}

function plus(a: Float32Array, b: ArrayLike<number>): Float32Array {
  return a.map((x, i) => x + b[i]);
}

function sum(x: Float64Array): number {
  return x.reduce((total, value) => total + value, 0);
}
