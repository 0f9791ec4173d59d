import { entry } from "../../base/entry.ts";
import { type PolarizedModel, realOf } from "../../model/stages.ts";
import { augmented } from "../augment.ts";
import { divergence, logitsOf } from "../divergence.ts";
import { type Calibration, replayOf } from "../polarize.ts";
import { subset } from "../subset.ts";
import type { Stop } from "./training.ts";

/** How far a model's answers are from the float model's (divergence.ts), as the kernels that will serve it compute them. */
export type Judge = (model: PolarizedModel) => number;

/** Of the samples; the last ones. */
const HELD_BACK = 0.25;
/** With fewer samples none can be held back. */
const LEAST = 4;

/** Samples to learn from, and a judge by the others and moved copies of them. Without one where samples are too few. */
export async function divided(
  calibration: Calibration,
): Promise<{ readonly taught: Calibration; readonly judge: Judge } | undefined> {
  const { samples } = calibration;
  if (samples < LEAST) return undefined;
  const split = Math.floor(samples * (1 - HELD_BACK));
  const heldBack = await augmented(subset(calibration, split, samples));
  return { taught: subset(calibration, 0, split), judge: (model) => divergenceOf(model, heldBack) };
}

export interface Best {
  readonly model: PolarizedModel;
  /** None where nothing was better than the start. */
  readonly steps: number;
  /** What the judge says of the start and of the best. */
  readonly before: number;
  readonly after: number;
}

/** Stops in a row that are no better than the best before them end a training. */
const PATIENCE = 3;

/** The stop of a training that the judge finds best, or its start. */
export async function bestOf(start: PolarizedModel, stops: AsyncIterable<Stop>, judge: Judge): Promise<Best> {
  const before = judge(start);
  let best: Best = { model: start, steps: 0, before, after: before };
  let waited = 0;
  for await (const { steps, model } of stops) {
    const trained = model();
    const after = judge(trained);
    if (after < best.after) {
      best = { model: trained, steps, before, after };
      waited = 0;
    } else if (++waited === PATIENCE) {
      break;
    }
  }
  return best;
}

function divergenceOf(model: PolarizedModel, calibration: Calibration): number {
  const { graph, layers, ranges } = model;
  const logits = logitsOf(graph);
  const replay = replayOf(model, calibration);
  for (const node of graph.nodes) {
    replay.advance(node, layers.get(node.name));
    if (node.name === logits) break;
  }
  const answers = realOf(replay.codes(logits), entry(ranges, logits));
  return divergence(graph, entry(calibration.observed, logits), answers, calibration.samples);
}
