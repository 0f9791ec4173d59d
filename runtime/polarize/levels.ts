import type { Correction, DriftLevel, PolarizedLayer, PolarizedModel } from "../model/stages.ts";
import type { MatmulUnit } from "../plan/unit.ts";

/**
 * Corrections of the drift levels that a model has been through. They are for the very levels and cells that they were
 * fitted to: when these are programmed again and drift as before, they bring back what a fit would, without samples
 * (keywords at 4 bits after a month: trimmed 92.4 % agreement and KL .104, with what was kept 96.4 % and .027, fitted
 * 96.4 % and .026; with gain and offset alone kept 94.4 % and .058). For levels that were chosen anew they are worth
 * nothing (91.6 % and .112), so a model prepared anew begins without any.
 */

/** Signals whose strengths differ by less than this on average are of one level: a month of drift is 2 % from ten weeks. */
const NEAR = 0.03;
/** The one of fresh cells, and as many as a cycle of drift has. */
const MOST = 4;

/** The levels that a model knows with the one that corrections were just fitted at, in place of any that is near to it. */
export function remembered(
  { accelerator }: Pick<PolarizedModel, "accelerator">,
  { uid, strengths }: Pick<MatmulUnit, "uid" | "strengths">,
  layers: ReadonlyMap<string, PolarizedLayer>,
): readonly DriftLevel[] {
  const known = accelerator?.uid === uid ? (accelerator.levels ?? []) : [];
  if (!strengths) return known;
  const corrections = [...layers].flatMap(([name, layer]): [string, Correction][] =>
    layer.accelerator ? [[name, layer.accelerator]] : [],
  );
  const others = known.filter((level) => distance(level.strengths, strengths) >= NEAR);
  // The first one is that of fresh cells.
  const kept = others.length < MOST ? others : [others[0], ...others.slice(others.length - MOST + 2)];
  return [...kept, { strengths, corrections: new Map(corrections) }];
}

/** The model with the corrections of the level that the unit's tiles are at, if it knows that. */
export function restored(model: PolarizedModel, { uid, strengths }: MatmulUnit): PolarizedModel | undefined {
  if (!strengths || model.accelerator?.uid !== uid) return undefined;
  const level = model.accelerator.levels?.find((known) => distance(known.strengths, strengths) < NEAR);
  if (!level) return undefined;
  const layers = [...model.layers].map(([name, layer]): [string, PolarizedLayer] => [
    name,
    { ...layer, accelerator: level.corrections.get(name) },
  ]);
  return { ...model, layers: new Map(layers) };
}

/** Mean absolute difference, tile by tile. */
function distance(a: readonly number[], b: readonly number[]): number {
  if (a.length !== b.length) return Number.POSITIVE_INFINITY;
  return a.reduce((sum, strength, tile) => sum + Math.abs(strength - b[tile]), 0) / a.length;
}
