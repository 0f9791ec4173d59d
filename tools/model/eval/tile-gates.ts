import { openAccelerator, parseAge } from "../../../firmware-bridge/open.ts";
import { gatedAccelerator } from "../../../firmware-bridge/tiles/gated.ts";
import type { PlaneSavings } from "../../../firmware-bridge/tiles/products.ts";
import { entry } from "../../../runtime/base/entry.ts";
import type { PolarizedModel } from "../../../runtime/model/stages.ts";
import { gatedLayersOn } from "../../../runtime/polarize/gated-unit.ts";
import { unitLayersOf } from "../../../runtime/polarize/placement.ts";
import { type Calibration, polarizeAccelerator } from "../../../runtime/polarize/polarize.ts";
import type { Report } from "../../../runtime/polarize/prepare.ts";
import { type AnalogOptions, addressOf, answersOf, costOf } from "./analog.ts";
import { type Gates, quantileGates, safeGates, seenProducts } from "./gates.ts";
import type { Measure, Score } from "./measure.ts";
import type { GateReport, LinkCost, TileGateReport, TileGateScore } from "./report.ts";

/**
 * The gates of `asked` on the tiles of an emulated accelerator, calibrated at its age: what planes are really not read,
 * and what passes the link. The quantile gates hold back the same share, by thresholds of what these tiles answer.
 */
export async function evaluateTileGates(
  options: AnalogOptions,
  asked: GateReport | null,
  model: PolarizedModel,
  calibration: Calibration,
  measure: Measure,
  report: Report,
): Promise<TileGateReport | null> {
  const { accelerator, age } = options;
  if (accelerator === undefined || asked === null) return null;
  const { highBits, budget } = asked;
  const device = await openAccelerator(addressOf(options, accelerator, 0));
  try {
    const unit = await device.place(unitLayersOf(model, calibration));
    device.emulated?.chip.age(parseAge(age));
    const served = await polarizeAccelerator(model, calibration, unit);
    const layers = await gatedLayersOn(unit, served);
    if (layers.length === 0) return null;
    const run = async (gates: Gates, inputs: Float32Array, count: number): Promise<Run> => {
      const gated = gatedAccelerator(unit, gates);
      return { answers: await answersOf(served, gated.unit, inputs, count, report), savings: gated.savings };
    };
    const scored = async (gates: Gates): Promise<ScoredRun> => {
      const { samples } = measure;
      const { made, ...cost } = await costOf(device, () => run(gates, samples.data, samples.shape[0]));
      return { score: measure.score(made.answers), ...cost, savings: made.savings };
    };
    const inputs = entry(calibration.observed, model.graph.input.name);
    const seen = await seenProducts(layers, highBits, (gates) => run(gates, inputs, calibration.samples));
    const { savings: _, ...whole } = await scored(new Map());
    const safe = await scored(safeGates(layers, highBits));
    const held = await scored(quantileGates(layers, seen, budget.share, highBits));
    return {
      highBits,
      whole,
      safe: gatedScore(safe, whole),
      budget: { ...gatedScore(held, whole), share: budget.share },
    };
  } finally {
    await device.close();
  }
}

interface Run {
  readonly answers: Float32Array;
  readonly savings: ReadonlyMap<string, PlaneSavings>;
}

interface ScoredRun extends LinkCost, Omit<Run, "answers"> {
  readonly score: Score;
}

function gatedScore({ savings, ...run }: ScoredRun, whole: LinkCost): TileGateScore {
  let [planes, skipped] = [0, 0];
  const layers = [...savings].map(([layer, saved]) => {
    planes += saved.planes;
    skipped += saved.skippedPlanes;
    return {
      layer,
      sparsity: saved.heldBack / saved.outputs,
      skippedPlanes: saved.skippedPlanes / Math.max(1, saved.planes),
    };
  });
  return {
    ...run,
    layers,
    savedPlanesPct: (100 * skipped) / Math.max(1, planes),
    savedLinkPct: 100 * (1 - run.linkBytes / whole.linkBytes),
  };
}
