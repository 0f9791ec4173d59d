import { openAccelerator, parseAge } from "../firmware-bridge/open.ts";
import type { PolarizedModel } from "../runtime/model/stages.ts";
import { openPlan } from "../runtime/plan/open.ts";
import type { Runner } from "../runtime/plan/run.ts";
import type { MatmulUnit } from "../runtime/plan/unit.ts";
import { unitLayersOf } from "../runtime/polarize/placement.ts";
import { type Calibration, polarizeAccelerator, uncorrectedAccelerator } from "../runtime/polarize/polarize.ts";
import type { Report } from "../runtime/polarize/prepare.ts";
import type { AnalogReport } from "./eval-report.ts";
import { type Measure, meanScore, type Score } from "./measure.ts";

export interface AnalogOptions {
  /** Name or file of an accelerator profile; without one nothing analog is measured. */
  readonly accelerator?: string;
  /** Time between programming and calibrating, such as 30d. */
  readonly age: string;
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
  const { accelerator, age, seed, devices } = options;
  if (accelerator === undefined) return null;
  const trials: Trial[] = [];
  for (let device = 0; device < devices; device++) {
    const address = `emulator:${accelerator}?seed=${seed + device}`;
    trials.push(await attempt(address, parseAge(age), model, calibration, measure, report));
  }
  return {
    quantized: meanScore(trials.map(({ quantized }) => quantized)),
    corrected: meanScore(trials.map(({ corrected }) => corrected)),
    devices: trials.map(({ corrected }) => corrected),
    layers: trials[0].layers,
  };
}

interface Trial {
  readonly quantized: Score;
  readonly corrected: Score;
  readonly layers: number;
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
    const unit = await device.place(unitLayersOf(model, calibration));
    device.emulated?.chip.age(ageSeconds);
    const asItIs = await uncorrectedAccelerator(model, calibration.float, unit);
    const quantized = measure.score(await answersOf(asItIs, unit, measure, report));
    if (ageSeconds > 0) await unit.rerange();
    const onLayer = (_: string, done: number, of: number): void => report({ stage: "accelerator", done, of });
    const repaired = await polarizeAccelerator(model, { ...calibration, onLayer }, unit);
    const corrected = measure.score(await answersOf(repaired, unit, measure, report));
    return { quantized, corrected, layers: unit.layers.size };
  } finally {
    await device.close();
  }
}

/** @throws the first fault of the accelerator: what a fallback answers would say nothing about it */
async function answersOf(
  model: PolarizedModel,
  unit: MatmulUnit,
  { samples }: Measure,
  report: Report,
): Promise<Float32Array> {
  const onFault = (_: string, error: Error): never => {
    throw error;
  };
  return answersThrough(await openPlan(model, { unit, onFault }), samples.data, samples.shape[0], report);
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
