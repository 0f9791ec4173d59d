import { openAccelerator, parseAge } from "../../../firmware-bridge/open.ts";
import type { AcceleratorUnit } from "../../../firmware-bridge/tiles/accelerator.ts";
import type { FormatName, PolarizedModel } from "../../../runtime/model/stages.ts";
import { openPlan } from "../../../runtime/plan/open.ts";
import type { MatmulUnit } from "../../../runtime/plan/unit.ts";
import { unitLayersOf } from "../../../runtime/polarize/placement.ts";
import { type Calibration, polarizeAccelerator, uncorrected } from "../../../runtime/polarize/polarize.ts";
import { lowered, type Report } from "../../../runtime/polarize/prepare.ts";
import { type QuantizationPolicy, quantizeModel } from "../../../runtime/quantize/quantize.ts";
import type { Chart, Series } from "../../cli/chart.ts";
import { precisionOf } from "../precision.ts";
import { type AnalogOptions, answersThrough } from "./analog.ts";
import { firstOf, type Measure, type Score } from "./measure.ts";

/** One format for each number of bits, the best of its kind on the networks we have measured. */
const FORMATS: readonly FormatName[] = ["int2", "nf3", "nf4", "int8"];
/** As analog hardware is reported (the protocol of AHWA-LoRA): from programming to ten years later. */
const AGES: readonly string[] = ["0s", "1h", "1d", "30d", "1y", "10y"];

/** Samples that are measured at each age, twice: an emulated chip takes its time. */
const MOST_OVER_TIME = 128;

/** What a curve is drawn from: accuracy where there are labels, agreement with the float model otherwise. */
export type Curve = Pick<Chart, "title" | "series"> & {
  readonly x: string;
  readonly y: string;
  /** Names of the x values 0, 1, 2, .. where they are no numbers. */
  readonly labels: readonly string[] | null;
};

export interface Subject {
  readonly model: PolarizedModel;
  readonly basis: Calibration;
  readonly policy: QuantizationPolicy;
  readonly measure: Measure;
}

/** Accuracy over bits; with an accelerator, accuracy over the time since it was programmed. */
export async function evaluateCurve(options: AnalogOptions, subject: Subject, report: Report): Promise<Curve> {
  const { accelerator, seed } = options;
  const { graph } = subject.basis.float;
  const float = subject.measure.score(subject.measure.truth);
  const y = float.accuracy === null ? "agreement with the float model, %" : "accuracy, %";
  if (accelerator === undefined) {
    const series = await overBits(subject, shareOf(float), report);
    return { title: `${graph.name}: what bits buy`, x: "bits per weight, scales included", y, labels: null, series };
  }
  const address = `emulator:${accelerator}?seed=${seed}`;
  const series = await overTime(address, subject, report);
  return { title: `${graph.name} on ${accelerator}`, x: "time since programming", y, labels: AGES, series };
}

export function chartOf({ title, x, y, labels, series }: Curve): Chart {
  const named = labels && { text: (value: number): string => labels[value] ?? "", ticks: labels.map((_, i) => i) };
  return { title, x: { title: x, ...named }, y: { title: y }, series };
}

async function overBits({ basis, policy, measure }: Subject, float: number, report: Report): Promise<Series[]> {
  const points: { bits: number; quantized: number; corrected: number }[] = [];
  for (const weights of FORMATS) {
    const own = { ...policy, weights, budget: undefined };
    const nearest = uncorrected(quantizeModel(basis.float, basis.observed, own));
    const repaired = await lowered(basis, own, report);
    points.push({
      bits: precisionOf(repaired).bitsPerWeight,
      quantized: await shareFrom(nearest, measure, report),
      corrected: await shareFrom(repaired, measure, report),
    });
  }
  return [
    { name: "float", points: points.map(({ bits }) => [bits, float]) },
    { name: "quantized and corrected", points: points.map(({ bits, corrected }) => [bits, corrected]) },
    { name: "quantized", points: points.map(({ bits, quantized }) => [bits, quantized]) },
  ];
}

/** One chip only grows old, another of its kind is recalibrated at each age: that leaves it other converter ranges. */
async function overTime(address: string, subject: Subject, report: Report): Promise<Series[]> {
  const { model, basis } = subject;
  const measure = firstOf(subject.measure, MOST_OVER_TIME);
  const stale = await atEachAge(address, subject, async (unit) => {
    const fresh = await polarizeAccelerator(model, basis, unit);
    return () => shareFrom(fresh, measure, report, unit);
  });
  const recalibrated = await atEachAge(address, subject, async (unit) => async () => {
    await unit.trim();
    return shareFrom(await polarizeAccelerator(model, basis, unit), measure, report, unit);
  });
  return [
    { name: "float", points: AGES.map((_, i) => [i, shareOf(measure.score(measure.truth))]) },
    { name: "recalibrated then", points: recalibrated },
    { name: "as calibrated when fresh", points: stale },
  ];
}

/** What `begin`, given a chip that was just programmed, prepares to measure. */
async function atEachAge(
  address: string,
  { model, basis }: Subject,
  begin: (unit: AcceleratorUnit) => Promise<() => Promise<number>>,
): Promise<Series["points"]> {
  const device = await openAccelerator(address);
  try {
    const unit = await device.place(unitLayersOf(model, basis));
    const share = await begin(unit);
    const points: [number, number][] = [];
    for (const [i, age] of AGES.entries()) {
      device.emulated?.chip.age(parseAge(age));
      points.push([i, await share()]);
    }
    return points;
  } finally {
    await device.close();
  }
}

async function shareFrom(model: PolarizedModel, measure: Measure, report: Report, unit?: MatmulUnit): Promise<number> {
  const { data, shape } = measure.samples;
  const onFault = (_: string, error: Error): never => {
    throw error;
  };
  const runner = await openPlan(model, { unit, onFault });
  return shareOf(measure.score(await answersThrough(runner, data, shape[0], report)));
}

function shareOf({ accuracy, agreement }: Score): number {
  return 100 * (accuracy ?? agreement);
}
