import type { PolarizedModel } from "../model/stages.ts";
import { type MatmulUnit, multiplyingBy } from "../plan/unit.ts";
import { interpolated, restored } from "./levels.ts";
import { type Calibration, polarizeAccelerator, type Refit } from "./polarize.ts";

/** A model, and the tiles that its corrections are fitted to. */
export interface Placed {
  readonly model: PolarizedModel;
  readonly unit: MatmulUnit;
}

/** One way to bring an accelerator back that has drifted. */
export interface RecoveryStep {
  readonly step: string;
  /** Calibration samples that it takes. */
  readonly samples: number;
  /** The cells are written anew, so what was fitted to them before is lost. */
  readonly programs: boolean;
  /** The tiles answer differently afterwards, whatever is made of it. */
  readonly lasts: boolean;
  /** Undefined if there is nothing that it could do. */
  work(): Promise<Placed | undefined>;
}

/** Ways to fresh cells; each returns what then serves. */
export interface Reprogramming {
  /** Of the same levels; undefined if they are not there any more. */
  renewed(): Promise<MatmulUnit | undefined>;
  /** Of levels chosen for the cells as they are now, with a model prepared anew. */
  anew(): Promise<Placed>;
}

/** How well a model does on inputs that no correction was fitted to. */
export interface Standing {
  /** Per cent of them on which the greatest output is the float model's. */
  readonly agreementPct: number;
  /** RMS of the difference to the float answers over RMS of these. */
  readonly residual: number;
}

/** What a step did and what it took. */
export interface StepTaken {
  readonly step: string;
  readonly samples: number;
  /** Vectors multiplied by the weights of a layer. */
  readonly products: number;
  /** Tiles programmed. */
  readonly tiles: number;
  readonly seconds: number;
  readonly beforePct: number;
  readonly afterPct: number;
  /** Whether what it fitted is kept. */
  readonly accepted: boolean;
}

export interface Recovery extends Placed {
  readonly steps: readonly StepTaken[];
}

/**
 * The refit order: what costs least comes first. The tiles trim themselves without samples; at a level of drift that the
 * model knows from before, it has corrections for it, and between two such levels they are taken from both. Gain and offset of each
 * column have two unknowns and are found from a few samples; the low rank has many, and more of it makes each inference
 * dearer; programming wears the cells, takes longest, and has to be fitted anew as well.
 */
export function recoverySteps(
  installed: Placed,
  calibration: Calibration,
  { renewed, anew }: Reprogramming,
): readonly RecoveryStep[] {
  const { unit } = installed;
  const { samples, macsShare = 0 } = calibration;
  const refitted = async (to: Placed, refit?: Refit): Promise<Placed> => ({
    model: await polarizeAccelerator(to.model, calibration, to.unit, refit),
    unit: to.unit,
  });
  const fitting = { samples, programs: false, lasts: false };
  return [
    {
      step: "tiles trimmed",
      samples: 0,
      programs: false,
      lasts: true,
      work: async () => {
        await unit.trim?.();
        return installed;
      },
    },
    { ...fitting, step: "known level", samples: 0, work: async () => atKnownLevel(installed.model, unit) },
    { ...fitting, step: "between known levels", samples: 0, work: async () => betweenLevels(installed.model, unit) },
    { ...fitting, step: "gain, offset per column", work: () => refitted(installed, "columns") },
    { ...fitting, step: "low rank", work: () => refitted(installed) },
    ...(macsShare > 0 ? [{ ...fitting, step: "higher rank", work: () => refitted(installed, "grown") }] : []),
    {
      step: "as when fresh",
      samples: 0,
      programs: true,
      lasts: true,
      work: async () => {
        const fresh = installed.model.accelerator?.levels && (await renewed());
        return fresh && atKnownLevel(installed.model, fresh);
      },
    },
    { step: "reprogrammed", samples, programs: true, lasts: true, work: async () => refitted(await anew()) },
  ];
}

function atKnownLevel(model: PolarizedModel, unit: MatmulUnit): Placed | undefined {
  const known = restored(model, unit);
  return known && { model: known, unit };
}

function betweenLevels(model: PolarizedModel, unit: MatmulUnit): Placed | undefined {
  const known = interpolated(model, unit);
  return known && { model: known, unit };
}

/**
 * Takes one step after the other until the model is good enough. A step whose result is not better than what was there
 * is dropped, unless it has changed the tiles: then there is nothing to go back to. No layer is given up for good
 * before new cells were tried.
 * @param judge on inputs that nothing was fitted to
 * @param enoughPct agreement that needs no further step
 */
export async function recover(
  installed: Placed,
  steps: readonly RecoveryStep[],
  judge: (placed: Placed) => Promise<Standing>,
  enoughPct: number,
  meter: { readonly products: () => number; readonly nowMs: () => number },
): Promise<Recovery> {
  let best = { placed: installed, standing: await judge(installed) };
  const taken: StepTaken[] = [];
  for (const { step, samples, programs, lasts, work } of steps) {
    const [began, before] = [meter.nowMs(), meter.products()];
    const placed = await work();
    if (!placed) continue;
    const [seconds, products] = [(meter.nowMs() - began) / 1000, meter.products() - before];
    const standing = await judge(placed);
    const accepted = lasts || isBetter(standing, best.standing);
    const tiles = programs ? (placed.unit.tilesUsed ?? 0) : 0;
    const [beforePct, afterPct] = [best.standing.agreementPct, standing.agreementPct];
    taken.push({ step, samples, products, tiles, seconds, beforePct, afterPct, accepted });
    if (accepted) best = { placed, standing };
    const givenUp = returnedLayers(best.placed).length > returnedLayers(installed).length;
    if (best.standing.agreementPct >= enoughPct && !givenUp) break;
  }
  return { ...best.placed, steps: taken };
}

/** Agreement on a few inputs is coarse: where it says nothing, the residual does. */
function isBetter(now: Standing, before: Standing): boolean {
  if (now.agreementPct !== before.agreementPct) return now.agreementPct > before.agreementPct;
  return now.residual < before.residual;
}

/** Answers as the unit behind it, and tells how many vectors were multiplied. */
export function counted(unit: MatmulUnit, onVectors: (count: number) => void): MatmulUnit {
  return multiplyingBy(unit, (layer, inputs, count) => {
    onVectors(count);
    return unit.multiply(layer, inputs, count);
  });
}

/** Layers that are on the tiles and yet computed digitally, since no correction recovers them. */
export function returnedLayers({ model, unit }: Placed): readonly string[] {
  return [...unit.layers].filter((name) => model.layers.get(name)?.accelerator === undefined);
}
