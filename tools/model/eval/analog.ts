import { type OpenAccelerator, openAccelerator, parseAge } from "../../../firmware-bridge/open.ts";
import type { AcceleratorUnit } from "../../../firmware-bridge/tiles/accelerator.ts";
import { isMatmul, macs } from "../../../runtime/model/graph.ts";
import type { PolarizedModel } from "../../../runtime/model/stages.ts";
import { surrogateMacs } from "../../../runtime/plan/energy.ts";
import { openPlan } from "../../../runtime/plan/open.ts";
import type { Runner } from "../../../runtime/plan/run.ts";
import { type MatmulUnit, multiplyingBy } from "../../../runtime/plan/unit.ts";
import { unitLayersOf } from "../../../runtime/polarize/placement.ts";
import { type Calibration, polarizeAccelerator, uncorrectedAccelerator } from "../../../runtime/polarize/polarize.ts";
import type { Report } from "../../../runtime/polarize/prepare.ts";
import { recoverySteps, type RecoveryStep as Step } from "../../../runtime/polarize/recovery.ts";
import { energyReport } from "./energy.ts";
import { type Measure, meanScore, type Score } from "./measure.ts";

import type { AnalogReport, EnergyReport, FitCost, LinkCost, RecoveryStep } from "./report.ts";

export interface AnalogOptions {
  /** Name or file of an accelerator profile; without one nothing analog is measured. */
  readonly accelerator?: string;
  /** Time between programming and calibrating, such as 30d. */
  readonly age: string;
  /** Of its cells, relative; the profile's if left out. */
  readonly sigma?: number;
  /** Which specimen of the accelerator. */
  readonly seed: number;
  /** How many specimens, with the seeds from `seed` on; the scores are averaged. */
  readonly devices: number;
}

/** The same model with its inner layers on emulated accelerators: as they answer, and calibrated on their answers. */
export async function evaluateAnalog(
  options: AnalogOptions,
  model: PolarizedModel,
  calibration: Calibration,
  measure: Measure,
  report: Report,
): Promise<AnalogReport | null> {
  const { accelerator, age, devices } = options;
  if (accelerator === undefined) return null;
  const trials: Trial[] = [];
  const returned = new Set<string>();
  for (let device = 0; device < devices; device++) {
    const watched = { ...calibration, onReturned: (layer: string): void => void returned.add(layer) };
    trials.push(await attempt(addressOf(options, accelerator, device), parseAge(age), model, watched, measure, report));
  }
  return {
    quantized: meanScore(trials.map(({ quantized }) => quantized)),
    corrected: meanScore(trials.map(({ corrected }) => corrected)),
    devices: trials.map(({ corrected }) => corrected),
    layers: trials[0].layers,
    placed: trials[0].placed,
    calibrated: trials[0].calibrated,
    accumulators: trials[0].accumulators,
    energy: trials[0].energy,
    returned: [...returned],
    recovery: trials[0].recovery.map((step, i) => ({
      ...step,
      score: meanScore(trials.map(({ recovery }) => recovery[i].score)),
    })),
  };
}

/** The emulated accelerator, of which `device` counts the specimens from 0 on. */
export function addressOf({ seed, sigma }: AnalogOptions, accelerator: string, device: number): string {
  const query = new URLSearchParams({
    seed: String(seed + device),
    ...(sigma !== undefined && { sigma: String(sigma) }),
  });
  return `emulator:${accelerator}?${query}`;
}

interface Trial {
  readonly quantized: Score;
  readonly corrected: Score;
  readonly layers: number;
  readonly placed: LinkCost;
  readonly calibrated: FitCost;
  readonly accumulators: AnalogReport["accumulators"];
  readonly energy: EnergyReport | null;
  readonly recovery: readonly RecoveryStep[];
}

async function attempt(
  address: string,
  ageSeconds: number,
  model: PolarizedModel,
  calibration: Calibration,
  measure: Measure,
  report: Report,
): Promise<Trial> {
  const device = await openAccelerator(address);
  try {
    const placeable = unitLayersOf(model, calibration);
    const { made: unit, ...placed } = await costOf(device, () => device.place(placeable));
    const onLayer = (_: string, done: number, of: number): void => report({ stage: "accelerator", done, of });
    const fitted = { ...calibration, onLayer };
    const scoreOf = async (served: PolarizedModel): Promise<Score> =>
      measure.score(await answersOf(served, unit, measure.samples.data, measure.samples.shape[0], report));
    const layers = unit.layers.size;
    const { made: fresh, ...calibrated } = await fitCostOf(device, unit, (timed) =>
      polarizeAccelerator(model, fitted, timed),
    );
    device.emulated?.chip.age(ageSeconds);
    const quantized = await scoreOf(await uncorrectedAccelerator(model, calibration.float, unit));
    const accumulators = { bits: device.profile.converter.accumulatorBits, layers: unit.accumulation };
    const energy = device.profile.energy ? energyReport(fresh, calibration, device.profile) : null;
    const known = { quantized, layers, placed, calibrated, accumulators, energy };
    if (ageSeconds === 0) return { ...known, corrected: await scoreOf(fresh), recovery: [] };
    const recovery = await recover(fresh, fitted, device, unit, scoreOf);
    // The last step that leaves the cells as they are.
    const refitted = recovery.filter(({ programs }) => programs === 0);
    return { ...known, corrected: refitted[refitted.length - 1].score, recovery };
  } finally {
    await device.close();
  }
}

/** The score and the cost of each step, whether it is needed or not. */
async function recover(
  fresh: PolarizedModel,
  calibration: Calibration,
  device: OpenAccelerator,
  unit: AcceleratorUnit,
  scoreOf: (model: PolarizedModel) => Promise<Score>,
): Promise<RecoveryStep[]> {
  const installed = { model: fresh, unit };
  const stale = { step: "as calibrated when fresh", samples: 0, programs: false, lasts: false };
  const steps: readonly Step[] = [
    { ...stale, work: async () => installed },
    ...recoverySteps(installed, calibration, {
      renewed: () => unit.reprogram().then(() => unit),
      anew: () => unit.reprogram().then(() => installed),
    }),
  ];
  const recovery: RecoveryStep[] = [];
  for (const { step, samples, programs, work } of steps) {
    const before = (await unit.status()).products;
    const { made, ...cost } = await costOf(device, work);
    if (!made) continue;
    const products = (await unit.status()).products - before;
    const score = await scoreOf(made.model);
    const extraMacsPct = extraMacsOf(made.model, unit);
    recovery.push({ step, score, samples, products, programs: programs ? unit.tilesUsed : 0, extraMacsPct, ...cost });
  }
  return recovery;
}

/** What the low rank takes, per cent of the multiplications on the tiles. */
function extraMacsOf({ graph, layers }: PolarizedModel, unit: MatmulUnit): number {
  let [main, extra] = [0, 0];
  for (const node of graph.nodes.filter(isMatmul).filter(({ name }) => unit.layers.has(name))) {
    const rank = layers.get(node.name)?.accelerator?.surrogate?.rank ?? 0;
    main += macs(node);
    extra += surrogateMacs(node, rank);
  }
  return main > 0 ? (100 * extra) / main : 0;
}

/** What `work` makes, and what it takes. */
export async function costOf<T>(
  { traffic, profile }: OpenAccelerator,
  work: () => Promise<T>,
): Promise<LinkCost & { readonly made: T }> {
  const [bytes, began] = [traffic.bytes, performance.now()];
  const made = await work();
  const linkBytes = traffic.bytes - bytes;
  const linkSeconds = (linkBytes * BITS_PER_BYTE) / profile.link.baudRate;
  return { made, linkBytes, linkSeconds, seconds: (performance.now() - began) / 1000 };
}

/** The same for what asks the unit for products: also what it takes besides these. */
async function fitCostOf<T>(
  device: OpenAccelerator,
  unit: MatmulUnit,
  work: (timed: MatmulUnit) => Promise<T>,
): Promise<FitCost & { readonly made: T }> {
  let waitedMs = 0;
  const timed = multiplyingBy(unit, async (layer, inputs, count) => {
    const began = performance.now();
    const products = await unit.multiply(layer, inputs, count);
    waitedMs += performance.now() - began;
    return products;
  });
  const cost = await costOf(device, () => work(timed));
  return { ...cost, fitSeconds: cost.seconds - waitedMs / 1000 };
}

/** Eight, a start and a stop bit. */
const BITS_PER_BYTE = 10;

/** @throws the first fault of the accelerator: what a fallback answers would say nothing about it */
export async function answersOf(
  model: PolarizedModel,
  unit: MatmulUnit,
  inputs: Float32Array,
  count: number,
  report: Report,
): Promise<Float32Array> {
  const onFault = (_: string, error: Error): never => {
    throw error;
  };
  return answersThrough(await openPlan(model, { unit, onFault }), inputs, count, report);
}

/** All samples through a plan with a unit, one after the other. */
export async function answersThrough(
  runner: Runner,
  inputs: Float32Array,
  count: number,
  report: Report,
): Promise<Float32Array> {
  const size = inputs.length / count;
  const answers = new Float32Array(count * runner.outputLength);
  for (let i = 0; i < count; i++) {
    report({ stage: "measure", done: i, of: count });
    const answer = answers.subarray(i * runner.outputLength, (i + 1) * runner.outputLength);
    await runner.run(inputs.subarray(i * size, (i + 1) * size), answer);
  }
  return answers;
}
