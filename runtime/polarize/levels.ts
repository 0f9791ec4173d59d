import type { Correction, DriftLevel, PolarizedLayer, PolarizedModel } from "../model/stages.ts";
import type { MatmulUnit } from "../plan/unit.ts";
import { identity, lowRank } from "../tensor/linear.ts";
import { product } from "../tensor/products.ts";

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
export function restored(model: PolarizedModel, unit: MatmulUnit): PolarizedModel | undefined {
  const { strengths } = unit;
  const level = strengths && levelsOn(model, unit).find((known) => distance(known.strengths, strengths) < NEAR);
  return level && withCorrections(model, (layer) => level.corrections.get(layer));
}

/**
 * The model with corrections between those of two levels that it knows, if the unit's tiles are at none of them but where
 * drift leads from the one to the other. A cell's charge is a power of its age (t / t0)^-nu, so the logarithm of a tile's
 * strength tells how far, in the logarithm of time, it has come; corrections follow that as a straight line. (Keywords at
 * 4 bits that know fresh cells and a month of drift, KL after an hour, a day and a week: the better of the two .022, .017 and
 * .015, between them .015, .013 and .014, fitted .008, .012 and .015.)
 */
export function interpolated(model: PolarizedModel, unit: MatmulUnit): PolarizedModel | undefined {
  const { strengths } = unit;
  if (!strengths || restored(model, unit)) return undefined;
  const levels = levelsOn(model, unit).toSorted((a, b) => logStrength(b) - logStrength(a));
  const next = levels.findIndex((level) => logStrength(level) < logStrength({ strengths }));
  if (next <= 0) return undefined;
  const [before, after] = [levels[next - 1], levels[next]];
  const share = (logStrength(before) - logStrength({ strengths })) / (logStrength(before) - logStrength(after));
  const expected = before.strengths.map((s, tile) => s ** (1 - share) * after.strengths[tile] ** share);
  if (!(distance(expected, strengths) < NEAR)) return undefined;
  return withCorrections(model, (layer) => {
    const [from, to] = [before.corrections.get(layer), after.corrections.get(layer)];
    return from && to && between(from, to, share);
  });
}

function levelsOn({ accelerator }: PolarizedModel, { uid }: MatmulUnit): readonly DriftLevel[] {
  return accelerator?.uid === uid ? (accelerator.levels ?? []) : [];
}

function withCorrections(
  model: PolarizedModel,
  correctionOf: (layer: string) => Correction | undefined,
): PolarizedModel {
  const layers = [...model.layers].map(([name, layer]): [string, PolarizedLayer] => [
    name,
    { ...layer, accelerator: correctionOf(name) },
  ]);
  return { ...model, layers: new Map(layers) };
}

/** Mean over the tiles. */
function logStrength({ strengths }: Pick<DriftLevel, "strengths">): number {
  return strengths.reduce((sum, strength) => sum + Math.log(strength), 0) / strengths.length;
}

/** The factors of two low-rank paths are not alike, their products are: the best path for what lies between these. */
function between(from: Correction, to: Correction, share: number): Correction {
  const [rows, columns] = [rowsOf(from) ?? rowsOf(to), from.gain.length];
  const mixed = (a: ArrayLike<number>, b: ArrayLike<number>): Float32Array =>
    Float32Array.from(a, (x, i) => (1 - share) * x + share * b[i]);
  const correction = { gain: mixed(from.gain, to.gain), bias: mixed(from.bias, to.bias), surrogate: undefined };
  if (rows === undefined) return correction;
  const path = mixed(productOf(from, rows), productOf(to, rows));
  const rank = Math.max(from.surrogate?.rank ?? 0, to.surrogate?.rank ?? 0);
  const { a, b, rank: found } = lowRank(Float64Array.from(path), identity(rows), rows, columns, rank);
  return { ...correction, surrogate: { rank: found, a, b } };
}

function rowsOf({ surrogate }: Correction): number | undefined {
  return surrogate && surrogate.a.length / surrogate.rank;
}

/** A B, rows x columns; zeros without a path. */
function productOf({ surrogate, gain }: Correction, rows: number): Float64Array {
  if (!surrogate) return new Float64Array(rows * gain.length);
  return product(surrogate.a, surrogate.b, rows, surrogate.rank, gain.length);
}

/** Mean absolute difference, tile by tile. */
function distance(a: readonly number[], b: readonly number[]): number {
  if (a.length !== b.length) return Number.POSITIVE_INFINITY;
  return a.reduce((sum, strength, tile) => sum + Math.abs(strength - b[tile]), 0) / a.length;
}
