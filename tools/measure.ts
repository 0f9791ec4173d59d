import { argmax } from "../runtime/tensor/tensor.ts";

/** How good answers are. Shares are 0 .. 1. */
export interface Score {
  /** Share of answers whose greatest output is the label; null without labels. */
  readonly accuracy: number | null;
  /** Share of answers whose greatest output is that of the float model. */
  readonly agreement: number;
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
    outputError: relativeError(answers, truth),
  };
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
