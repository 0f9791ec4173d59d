import { basename } from "node:path";
import type { DeviceProfile } from "../../../device-profiles/device.ts";
import { loadProfile } from "../../../device-profiles/profiles.ts";
import { Failure } from "../../../runtime/base/failure.ts";
import { shuffled } from "../../../runtime/base/random.ts";
import { openTeacher } from "../../../runtime/kernels/float.ts";
import { importModel } from "../../../runtime/model/import.ts";
import {
  type CriterionName,
  type FloatModel,
  type FormatName,
  formatNames,
  type PolarizedModel,
  type RoundingName,
} from "../../../runtime/model/stages.ts";
import { openPlan } from "../../../runtime/plan/open.ts";
import { fastest } from "../../../runtime/polarize/mix/latency.ts";
import { type Calibration, uncorrected } from "../../../runtime/polarize/polarize.ts";
import { calibrationOf, lowered, type PrepareJob, type Report } from "../../../runtime/polarize/prepare.ts";
import { statisticsOf } from "../../../runtime/polarize/synthesis.ts";
import { type Budget, type Mix, quantizeModel } from "../../../runtime/quantize/quantize.ts";
import { sizeOf, type Tensor } from "../../../runtime/tensor/tensor.ts";
import { readBytes, readLabels, readSamples } from "../inputs.ts";
import { layersOf, precisionOf } from "../precision.ts";
import { type AnalogOptions, evaluateAnalog } from "./analog.ts";
import { type Baseline, baselines } from "./baselines.ts";
import { evaluateCurve } from "./curve.ts";
import { energyReport } from "./energy.ts";
import { evaluateGates, type GateOptions } from "./gates.ts";
import { type Measure, meanScore, measureOf, type Score } from "./measure.ts";
import { paretoOf } from "./pareto.ts";
import type { CalibrationSeconds, EvalReport } from "./report.ts";
import { evaluateTileGates } from "./tile-gates.ts";

export interface EvalOptions extends AnalogOptions, GateOptions {
  readonly inputs: string;
  readonly labels?: string;
  readonly profile: string;
  readonly format?: string;
  readonly block?: number;
  readonly bitsBudget?: number;
  readonly bytesBudget?: number;
  /** Microseconds of an inference on this machine. */
  readonly latencyBudget?: number;
  /** Microjoules of an inference by the profile's model. */
  readonly energyBudget?: number;
  /** Products of single bits of an inference. */
  readonly bitopsBudget?: number;
  readonly criterion?: CriterionName;
  readonly rounding?: RoundingName;
  readonly rank?: number;
  readonly samples?: number;
  /** Steps of distillation after the closed form, at most. */
  readonly distill?: number;
  /** How many times calibration samples are drawn; the scores are averaged. */
  readonly draws: number;
  /** Calibrate with inputs that have the statistics of the samples instead of the samples. */
  readonly synthetic?: boolean;
  /** File for a curve as SVG. */
  readonly chart?: string;
  /** Also what others' low-rank corrections reach. */
  readonly compare?: boolean;
  /** Also what other sizes of the weights would reach. */
  readonly pareto?: boolean;
}

/** What is evaluated, read and checked. */
interface Subject {
  readonly model: Uint8Array;
  readonly name: string;
  readonly float: FloatModel;
  readonly profile: DeviceProfile;
  readonly samples: Tensor;
  /** Answers of the float model on all samples. */
  readonly truth: Float32Array;
  readonly labels: Int32Array | undefined;
  readonly synthetic: boolean;
}

/** The samples of each draw calibrate, the others are measured: float, quantized, corrected and, if asked for, analog. */
export async function evaluate(path: string, options: EvalOptions, report: Report): Promise<EvalReport> {
  const subject = await read(path, options);
  const trials: Trial[] = [];
  const rivals = options.compare ? baselines : [];
  for (let draw = 0; draw < options.draws; draw++) trials.push(await attempt(subject, draw, rivals, report));
  const [first] = trials;
  const analog = await evaluateAnalog(options, first.repaired, first.basis, first.measure, report);
  const subjectOfCurve = { model: first.repaired, policy: subject.profile.quantization, ...first };
  const curve = options.chart === undefined ? null : await evaluateCurve(options, subjectOfCurve, report);
  const gates = await evaluateGates(options, first.repaired, first.basis, first.measure, report);
  const { basis, measure } = first;
  const tileGates = await evaluateTileGates(options, gates, first.repaired, basis, measure, report);
  const pareto = options.pareto
    ? await paretoOf(
        basis,
        subject.profile.quantization,
        async (model) => measure.score((await openPlan(model)).runSync(measure.samples.data)),
        report,
      )
    : null;
  const runner = await openPlan(first.repaired, { profile: subject.profile });
  return {
    model: subject.name,
    profile: subject.profile.name,
    format: subject.profile.quantization.weights,
    budget: subject.profile.quantization.budget ?? null,
    measured: first.measure.samples.shape[0],
    calibrationSamples: first.basis.samples,
    float: { accuracy: meanScore(trials.map(({ float }) => float)).accuracy },
    quantized: meanScore(trials.map(({ quantized }) => quantized)),
    corrected: meanScore(trials.map(({ corrected }) => corrected)),
    draws: trials.map(({ corrected }) => corrected),
    compared: rivals.map(({ name }, i) => ({
      name,
      score: meanScore(trials.map(({ compared }) => compared[i].score)),
      seconds: first.compared[i].seconds,
    })),
    analog,
    gates,
    tileGates,
    curve,
    pareto,
    layers: layersOf(first.repaired),
    ...precisionOf(first.repaired),
    weightBytes: runner.plan.weightBytes,
    arenaBytes: runner.plan.arenaBytes,
    calibrationSeconds: totalOf(first.seconds),
    calibrationParts: first.seconds,
    microsecondsPerInference: first.microsecondsPerInference,
    energy: energyReport(first.repaired, subject.profile),
  };
}

async function read(path: string, options: EvalOptions): Promise<Subject> {
  const model = await readBytes(path);
  const name = basename(path);
  const float = importModel(model, name);
  const profile = withOverrides(await loadProfile(options.profile), options);
  const samples = await readSamples(options.inputs, float.graph.input.shape);
  const count = samples.shape[0];
  const labels = options.labels === undefined ? undefined : await readLabels(options.labels, count);
  if (count <= profile.calibration.samples) {
    throw new Failure(
      "calibration/too-few-samples",
      `${options.inputs} has ${count} samples and ${profile.calibration.samples} are for calibration: none is left ` +
        "to measure; use --samples",
    );
  }
  const teacher = await openTeacher(float);
  const truth = (await teacher.run(samples.data, count)).output;
  teacher.close();
  return { model, name, float, profile, samples, truth, labels, synthetic: options.synthetic === true };
}

/** One draw of calibration samples and what came of it. */
interface Trial {
  readonly basis: Calibration;
  readonly repaired: PolarizedModel;
  readonly measure: Measure;
  readonly float: Score;
  readonly quantized: Score;
  readonly corrected: Score;
  readonly compared: readonly { readonly score: Score; readonly seconds: number }[];
  readonly seconds: CalibrationSeconds;
  readonly microsecondsPerInference: number;
}

async function attempt(subject: Subject, draw: number, rivals: readonly Baseline[], report: Report): Promise<Trial> {
  const { model, name, float, profile, samples, truth, labels, synthetic } = subject;
  const { chosen: drawnSamples, rest } = drawn(samples.shape[0], profile.calibration.samples, draw);
  const real = pick(samples, drawnSamples);
  const job: PrepareJob = { model, name, samples: synthetic ? await statisticsOf(float, real) : real, profile };
  const clock = stopwatch();
  const basis = await calibrationOf(float, job, report);
  const observe = clock();
  const parts: Partial<CalibrationSeconds> = {};
  const repaired = await lowered(basis, profile.quantization, (progress) => {
    if (progress.stage === "quantize") parts.choose ??= clock();
    if (progress.stage === "polarize") parts.quantize ??= clock();
    if (progress.stage === "distill") parts.fit ??= clock();
    report(progress);
  });
  parts[parts.fit === undefined ? "fit" : "distill"] = clock();
  const seconds = { observe, choose: 0, quantize: 0, fit: 0, distill: 0, ...parts };

  const expected = pick({ shape: [samples.shape[0], truth.length / samples.shape[0]], data: truth }, rest).data;
  const kept = labels && Int32Array.from(rest, (i) => labels[i]);
  const measured = pick(samples, rest);
  const measure = measureOf(measured, expected, kept);
  const nearest = quantizeModel(float, basis.observed, profile.quantization, mixIn(repaired));
  const quantized = measure.score((await openPlan(uncorrected(nearest))).runSync(measured.data));
  const compared = [];
  for (const rival of rivals) {
    const clock = stopwatch();
    const model = await rival.correct(nearest, basis);
    const seconds = clock();
    compared.push({ score: measure.score((await openPlan(model)).runSync(measured.data)), seconds });
  }
  const runner = await openPlan(repaired);
  const answers = runner.runSync(measured.data);
  const [one, answer] = [measured.data.subarray(0, runner.inputLength), new Float32Array(runner.outputLength)];
  const microsecondsPerInference = fastest(() => runner.runSync(one, answer)) / 1000;
  return {
    basis,
    repaired,
    measure,
    float: measure.score(expected),
    quantized,
    corrected: measure.score(answers),
    compared,
    seconds,
    microsecondsPerInference,
  };
}

/** Seconds since the last call, or since it was made. */
function stopwatch(): () => number {
  let last = performance.now();
  return () => {
    const before = last;
    last = performance.now();
    return (last - before) / 1000;
  };
}

function totalOf({ observe, choose, quantize, fit, distill }: CalibrationSeconds): number {
  return observe + choose + quantize + fit + distill;
}

/**
 * The formats that were chosen. Columns that ours leaves without bits keep theirs: only our low-rank path was meant to
 * carry them, and what others' corrections reach, with a few bits more, is not to be less for that.
 */
function mixIn({ layers }: PolarizedModel): Mix {
  return new Map(
    [...layers].map(
      ([
        name,
        {
          format,
          matrix: { blockLength },
          digital,
        },
      ]) => {
        return [name, { format, blockLength, rank: digital.surrogate?.rank ?? 0 }];
      },
    ),
  );
}

/** Which samples calibrate and which are measured: the first ones in draw 0, others in the draws after it. */
function drawn(count: number, samples: number, draw: number): { chosen: number[]; rest: number[] } {
  const order = draw === 0 ? Array.from({ length: count }, (_, i) => i) : shuffled(count, draw);
  return { chosen: order.slice(0, samples), rest: order.slice(samples).sort((a, b) => a - b) };
}

function pick({ shape: [, ...sample], data }: Tensor, indices: readonly number[]): Tensor {
  const size = sizeOf(sample);
  const out = new Float32Array(indices.length * size);
  for (const [to, from] of indices.entries()) out.set(data.subarray(from * size, (from + 1) * size), to * size);
  return { shape: [indices.length, ...sample], data: out };
}

function withOverrides(profile: DeviceProfile, options: EvalOptions): DeviceProfile {
  const { format, block, rank, samples, distill } = options;
  const { weights, blockLength, budget, criterion, rounding } = profile.quantization;
  return {
    ...profile,
    quantization: {
      ...profile.quantization,
      weights: format === undefined ? weights : formatNamed(format),
      blockLength: block ?? blockLength,
      budget: budgetOf(options) ?? (format === undefined ? budget : undefined),
      criterion: options.criterion ?? criterion,
      rounding: options.rounding ?? rounding,
    },
    surrogate: {
      ...profile.surrogate,
      rank: rank ?? profile.surrogate.rank,
      distillSteps: distill ?? profile.surrogate.distillSteps,
    },
    calibration: { ...profile.calibration, samples: samples ?? profile.calibration.samples },
  };
}

function budgetOf(options: EvalOptions): Budget | undefined {
  const { latencyBudget, energyBudget, bitopsBudget, bytesBudget, bitsBudget } = options;
  if (latencyBudget !== undefined) return { microseconds: latencyBudget };
  if (energyBudget !== undefined) return { microjoules: energyBudget };
  if (bitopsBudget !== undefined) return { bitOperations: bitopsBudget };
  if (bytesBudget !== undefined) return { bytes: bytesBudget };
  return bitsBudget === undefined ? undefined : { bitsPerWeight: bitsBudget };
}

function formatNamed(name: string): FormatName {
  const known = formatNames.find((format) => format === name);
  if (known) return known;
  throw new Failure("input/malformed", `--format ${name}: unknown weight format; one of ${formatNames.join(", ")}`);
}
