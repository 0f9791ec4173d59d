import type { QuantizedMatrix } from "../model/stages.ts";
import { product } from "../tensor/products.ts";
import { columnLosses } from "./descent.ts";
import { codeOf, neighbourOf, type QuantFormat, scaleAt } from "./format.ts";

/** Full-gradient steps; the paper's 10,000 are steps on batches of 32. */
const STEPS = 200;
const LEARNING_RATE = 0.05;
/** "zeta" and "gamma": h reaches 0 and 1 at finite a. */
const STRETCH = { high: 1.1, low: -0.1 };
/** "lambda", per weight. */
const FIRMNESS = 0.01;
/**
 * What rounding to the nearest counts as, per weight, whatever the outputs' unit: less than FIRMNESS, or at the end many
 * weights are still on their way. (A 64 x 64 layer of keywords, NF4: .57 of nearest codes' error; with .01 here .69.)
 */
const NEAREST = 0.001;
/** "beta" falls from the first to the last number after the warm-up, in which nothing is rounded yet. */
const SHARPNESS = { first: 20, last: 2 };
const WARM_UP = 0.2;

/**
 * AdaRound (arXiv 2004.10568, equations 21 to 24): each weight learns whether it goes to the code below or above it.
 * h = clamp(1.2 sigmoid(a) - .1, 0, 1) says how far up, and a falls along the gradient of
 * ||y - yq||^2 + .01 sum(1 - |2h - 1|^beta). The outputs' error is the trace of (W - Wq)' R (W - Wq), so the inputs'
 * second moments are all that is needed of them. Columns that nearest codes serve better keep those.
 * @param scaled the scales to round under
 * @param metric R, rows x rows
 */
export function adaround(
  format: QuantFormat,
  scaled: QuantizedMatrix,
  weights: Float32Array,
  metric: Float64Array,
): QuantizedMatrix {
  const nearest = { ...scaled, codes: Int8Array.from(weights, (w, i) => codeOf(format, scaled, i, w)) };
  const other = nearest.codes.map((_, i) => neighbourOf(format, scaled, i, weights[i]));
  const { columns } = scaled;
  const before = columnLosses(nearest, weights, metric);
  const unit = before.reduce((sum, loss) => sum + loss, 0) / (NEAREST * weights.length) || 1;
  const moved = learned({ nearest, other, weights, metric, unit });
  const codes = nearest.codes.map((code, i) => (moved[i] > 0.5 ? other[i] : code));
  const after = columnLosses({ ...scaled, codes }, weights, metric);
  return {
    ...scaled,
    codes: codes.map((code, i) => (after[i % columns] < before[i % columns] ? code : nearest.codes[i])),
  };
}

interface Choice {
  readonly nearest: QuantizedMatrix;
  /** On the weight's other side. */
  readonly other: Int8Array;
  readonly weights: Float32Array;
  readonly metric: Float64Array;
  /** What counts as an error of one. */
  readonly unit: number;
}

/** How far each weight went from its nearest code (0) to the other one (1). */
function learned({ nearest, other, weights, metric, unit }: Choice): Float64Array {
  const { rows, columns, codes } = nearest;
  const spans = Float64Array.from(other, (code, i) => scaleAt(nearest, i) * (code - codes[i]));
  const errors = Float64Array.from(weights, (w, i) => w - scaleAt(nearest, i) * codes[i]);
  const h = errors.map((error, i) => (spans[i] === 0 ? 0 : Math.max(0, Math.min(1, error / spans[i]))));
  const a = h.map((share) => -Math.log((STRETCH.high - STRETCH.low) / (share - STRETCH.low) - 1));
  const step = adam(a.length);
  for (let t = 0; t < STEPS; t++) {
    const left = errors.map((error, i) => error - h[i] * spans[i]);
    const pulls = product(metric, left, rows, rows, columns);
    const firm = firmness(t / STEPS);
    for (let i = 0; i < a.length; i++) {
      const sigmoid = 1 / (1 + Math.exp(-a[i]));
      const stretched = STRETCH.low + (STRETCH.high - STRETCH.low) * sigmoid;
      if (stretched > 0 && stretched < 1) {
        const slope = (STRETCH.high - STRETCH.low) * sigmoid * (1 - sigmoid);
        a[i] -= step(i, t, slope * (firm(h[i]) - (2 * spans[i] * pulls[i]) / unit));
      }
      h[i] = clampedShare(a[i]);
    }
  }
  return h;
}

function clampedShare(a: number): number {
  return Math.max(0, Math.min(1, STRETCH.low + (STRETCH.high - STRETCH.low) / (1 + Math.exp(-a))));
}

/** Derivative of .01 (1 - |2h - 1|^beta) by h, when so much of the time has passed. */
function firmness(time: number): (h: number) => number {
  if (time < WARM_UP) return () => 0;
  const rest = (1 - time) / (1 - WARM_UP);
  const beta = SHARPNESS.last + (SHARPNESS.first - SHARPNESS.last) * rest;
  return (h) => -FIRMNESS * 2 * beta * Math.abs(2 * h - 1) ** (beta - 1) * Math.sign(2 * h - 1);
}

/** Adam (arXiv 1412.6980): what to take off number `i` at step `t` for its gradient. */
function adam(length: number): (i: number, t: number, gradient: number) => number {
  const mean = new Float64Array(length);
  const square = new Float64Array(length);
  return (i, t, gradient) => {
    mean[i] += 0.1 * (gradient - mean[i]);
    square[i] += 0.001 * (gradient * gradient - square[i]);
    const [m, v] = [mean[i] / (1 - 0.9 ** (t + 1)), square[i] / (1 - 0.999 ** (t + 1))];
    return (LEARNING_RATE * m) / (Math.sqrt(v) + 1e-8);
  };
}
