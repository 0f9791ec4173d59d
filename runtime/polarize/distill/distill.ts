import { isLayer } from "../../model/graph.ts";
import type { PolarizedModel } from "../../model/stages.ts";
import { logitsOf } from "../divergence.ts";
import type { Calibration } from "../polarize.ts";
import { bestOf, divided } from "./held-back.ts";
import { type Course, type OnStep, training } from "./training.ts";

/**
 * Of the errors of all layers together, the answers' divergence counting once. (Keywords at two bits, KL of other
 * samples .038: trained with none .038, with 3 .035, with 10 .0345, with 30 .034.)
 */
const FEATURES = 10;
const RATE = 1e-3;

/**
 * Logit distillation of the digital corrections, after the closed form and for all layers together: what one layer gets
 * wrong others can make good, and what does not show in the answers counts less. How far it pays is found out on samples
 * that neither the closed form nor the training saw; then all samples are trained on as far. The model itself where it
 * does not pay.
 * @param correct the closed form
 * @param model what it makes of all samples
 * @param steps at most
 */
export async function distilled(
  correct: (calibration: Calibration) => Promise<PolarizedModel>,
  model: PolarizedModel,
  calibration: Calibration,
  steps: number,
  onStep?: OnStep,
): Promise<PolarizedModel> {
  const parts = await divided(calibration);
  if (!parts) return model;
  const { taught, judge } = parts;
  const course: Course = { steps, rate: RATE, parts: ["gain", "bias", "a", "b"], weights: featureWeights(model) };
  const onTrial: OnStep = (step, of) => onStep?.(step, 2 * of);
  const start = await correct(taught);
  const trial = await bestOf(start, training(start, taught, course, onTrial), judge);
  const onAll: OnStep = (step) => onStep?.(steps + step, steps + trial.steps);
  for await (const stop of trial.steps > 0 ? training(model, calibration, course, onAll) : []) {
    if (stop.steps === trial.steps) return stop.model();
  }
  return model;
}

/** The same for each layer. */
function featureWeights({ graph }: PolarizedModel): Map<string, number> {
  const names = graph.nodes.filter(isLayer).map(({ name }) => name);
  const hidden = names.filter((name) => name !== logitsOf(graph));
  return new Map(hidden.map((name) => [name, FEATURES / hidden.length]));
}
