import { divergenceOf } from "../../../runtime/polarize/divergence.ts";
import { argmax, type Tensor } from "../../../runtime/tensor/tensor.ts";

/** How good answers are. Shares are 0 .. 1. */
export interface Score {
  /** Share of answers whose greatest output is the label; null without labels. */
  readonly accuracy: number | null;
  /** Share of answers whose greatest output is that of the float model. */
  readonly agreement: number;
  /** Mean Kullback-Leibler divergence from the float model's classes, nats; null where outputs are no probabilities. */
  readonly divergence: number | null;
  /** |answer - float answer| / |float answer|, root mean square over all outputs. */
  readonly outputError: number;
}

/** @param answers, truth count x outputs, one after the other */
export function score(
  answers: Float32Array,
  truth: Float32Array,
  count: number,
  labels: Int32Array | undefined,
): Score {
  const outputs = truth.length / count;
  let right = 0;
  let agreed = 0;
  for (let i = 0; i < count; i++) {
    const answer = argmax(answers, i * outputs, outputs);
    if (answer === labels?.[i]) right++;
    if (answer === argmax(truth, i * outputs, outputs)) agreed++;
  }
  return {
    accuracy: labels ? right / count : null,
    agreement: agreed / count,
    divergence: classDivergence(answers, truth, count),
    outputError: relativeError(answers, truth),
  };
}

/** Samples that are measured, the float model's answers to them, and what answers to them are worth. */
export interface Measure {
  readonly samples: Tensor;
  /** Samples x outputs. */
  readonly truth: Float32Array;
  readonly labels: Int32Array | undefined;
  score(answers: Float32Array): Score;
}

export function measureOf(samples: Tensor, truth: Float32Array, labels: Int32Array | undefined): Measure {
  return { samples, truth, labels, score: (answers) => score(answers, truth, samples.shape[0], labels) };
}

/** Of its first samples. */
export function firstOf({ samples, truth, labels }: Measure, most: number): Measure {
  const [all, ...sample] = samples.shape;
  const count = Math.min(all, most);
  const data = samples.data.subarray(0, (samples.data.length / all) * count);
  return measureOf(
    { shape: [count, ...sample], data },
    truth.subarray(0, (truth.length / all) * count),
    labels?.subarray(0, count),
  );
}

export function meanScore(scores: readonly Score[]): Score {
  const mean = (of: (score: Score) => number): number =>
    scores.reduce((sum, score) => sum + of(score), 0) / scores.length;
  const [first] = scores;
  return {
    accuracy: first.accuracy === null ? null : mean(({ accuracy }) => accuracy ?? 0),
    agreement: mean(({ agreement }) => agreement),
    divergence: first.divergence === null ? null : mean(({ divergence }) => divergence ?? 0),
    outputError: mean(({ outputError }) => outputError),
  };
}

/** Served answers have eight bits: what is less than this is as good as nothing, on both sides. */
const LEAST = 1 / 1024;

function classDivergence(answers: Float32Array, truth: Float32Array, count: number): number | null {
  const total = truth.reduce((sum, p) => sum + p, 0);
  if (Math.abs(total - count) > 1e-3 * count || truth.some((p) => p < 0)) return null;
  const classes = truth.length / count;
  let sum = 0;
  for (let i = 0; i < truth.length; i += classes) {
    const [lnP, lnQ] = [truth, answers].map((all) => logShares(all.subarray(i, i + classes)));
    sum += divergenceOf(lnP, lnQ);
  }
  return Math.max(0, sum / count);
}

/** Logarithms of classes that add up to one. */
function logShares(classes: Float32Array): Float64Array {
  const floored = Float64Array.from(classes, (p) => Math.max(LEAST, p));
  const whole = floored.reduce((sum, p) => sum + p, 0);
  return floored.map((p) => Math.log(p / whole));
}

function relativeError(answers: Float32Array, truth: Float32Array): number {
  let error = 0;
  let power = 0;
  for (let i = 0; i < truth.length; i++) {
    error += (answers[i] - truth[i]) ** 2;
    power += truth[i] ** 2;
  }
  return power === 0 ? 0 : Math.sqrt(error / power);
}
