import { basename } from "node:path";
import type { DeviceProfile } from "../device-profiles/device.ts";
import { loadProfile } from "../device-profiles/profiles.ts";
import { Failure } from "../runtime/base/failure.ts";
import { openTeacher } from "../runtime/kernels/float.ts";
import { importModel } from "../runtime/model/import.ts";
import { type FormatName, formatNames } from "../runtime/model/stages.ts";
import { openPlan } from "../runtime/plan/open.ts";
import type { Runner } from "../runtime/plan/run.ts";
import { polarize, uncorrected } from "../runtime/polarize/polarize.ts";
import { calibrationOf, type PrepareJob, type Report } from "../runtime/polarize/prepare.ts";
import { quantizeModel } from "../runtime/quantize/quantize.ts";
import { sizeOf, type Tensor } from "../runtime/tensor/tensor.ts";
import { type AnalogOptions, evaluateAnalog } from "./eval-analog.ts";
import { precisionOf } from "./eval-cost.ts";
import { readBytes, readLabels, readSamples } from "./inputs.ts";
import { type Score, score } from "./measure.ts";

export interface EvalOptions extends AnalogOptions {
  readonly inputs: string;
  readonly labels?: string;
  readonly profile: string;
  readonly format?: string;
  readonly block?: number;
  readonly rank?: number;
  readonly samples?: number;
}

/** What `polaredge eval --json` prints; the text of its --help documents it. Fields are added, never renamed. */
export interface EvalReport {
  readonly model: string;
  readonly profile: string;
  readonly format: FormatName;
  readonly measured: number;
  readonly calibrationSamples: number;
  readonly float: { readonly accuracy: number | null };
  readonly quantized: Score;
  readonly corrected: Score;
  readonly analog: { readonly quantized: Score; readonly corrected: Score; readonly layers: number } | null;
  readonly bitsPerWeight: number;
  readonly weightBytes: number;
  readonly arenaBytes: number;
  readonly surrogate: { readonly params: number; readonly extraParamsPct: number; readonly extraMacsPct: number };
  readonly calibrationSeconds: number;
  readonly microsecondsPerInference: number;
}

/** Answers of the float model on the samples that are measured, and what they are compared by. */
export interface Measure {
  readonly samples: Tensor;
  score(answers: Float32Array): Score;
}

/** The first samples calibrate, the others are measured: float, quantized, corrected and, if asked for, analog. */
export async function evaluate(path: string, options: EvalOptions, report: Report): Promise<EvalReport> {
  const model = await readBytes(path);
  const name = basename(path);
  const float = importModel(model, name);
  const profile = withOverrides(await loadProfile(options.profile), options);
  const all = await readSamples(options.inputs, float.graph.input.shape);
  const labels = options.labels === undefined ? undefined : await readLabels(options.labels, all.shape[0]);
  const { calibration, rest } = split(all, profile.calibration.samples, options.inputs);
  const job: PrepareJob = { model, name, samples: calibration, profile };

  const started = performance.now();
  const basis = await calibrationOf(float, job, report);
  report({ stage: "quantize", done: 0, of: 1 });
  const low = quantizeModel(float, basis.observed, profile.quantization, "gptq");
  const repaired = polarize(low, { ...basis, onLayer: (_, done, of) => report({ stage: "polarize", done, of }) });
  const calibrationSeconds = (performance.now() - started) / 1000;

  const teacher = await openTeacher(float);
  const truth = (await teacher.run(rest.data, rest.shape[0])).output;
  teacher.close();
  const kept = labels?.subarray(basis.samples);
  const measure: Measure = { samples: rest, score: (answers) => score(answers, truth, rest.shape[0], kept) };
  const nearest = quantizeModel(float, basis.observed, profile.quantization, "nearest");
  const before = await openPlan(uncorrected(nearest));
  const runner = await openPlan(repaired, { profile });
  const quantizedScore = measure.score(answersOf(before, rest));
  const timed = performance.now();
  const correctedScore = measure.score(answersOf(runner, rest));
  const microsecondsPerInference = ((performance.now() - timed) * 1000) / rest.shape[0];
  return {
    model: name,
    profile: profile.name,
    format: profile.quantization.weights,
    measured: rest.shape[0],
    calibrationSamples: basis.samples,
    float: { accuracy: measure.score(truth).accuracy },
    quantized: quantizedScore,
    corrected: correctedScore,
    analog: await evaluateAnalog(options, repaired, basis, measure, report),
    ...precisionOf(repaired),
    weightBytes: runner.plan.weightBytes,
    arenaBytes: runner.plan.arenaBytes,
    calibrationSeconds,
    microsecondsPerInference,
  };
}

/** All samples through a digital plan, one after the other. */
function answersOf(runner: Runner, { data, shape }: Tensor): Float32Array {
  const size = data.length / shape[0];
  const answers = new Float32Array(shape[0] * runner.outputLength);
  for (let i = 0; i < shape[0]; i++) {
    const answer = answers.subarray(i * runner.outputLength, (i + 1) * runner.outputLength);
    runner.runSync(data.subarray(i * size, (i + 1) * size), answer);
  }
  return answers;
}

function withOverrides(profile: DeviceProfile, { format, block, rank, samples }: EvalOptions): DeviceProfile {
  const { weights, blockLength } = profile.quantization;
  return {
    ...profile,
    quantization: {
      ...profile.quantization,
      weights: format === undefined ? weights : formatNamed(format),
      blockLength: block ?? blockLength,
    },
    surrogate: { rank: rank ?? profile.surrogate.rank },
    calibration: { ...profile.calibration, samples: samples ?? profile.calibration.samples },
  };
}

function formatNamed(name: string): FormatName {
  const known = formatNames.find((format) => format === name);
  if (known) return known;
  throw new Failure("input/malformed", `--format ${name}: unknown weight format; one of ${formatNames.join(", ")}`);
}

function split(all: Tensor, samples: number, path: string): { calibration: Tensor; rest: Tensor } {
  const [count, ...sample] = all.shape;
  if (count <= samples) {
    throw new Failure(
      "calibration/too-few-samples",
      `${path} has ${count} samples and ${samples} are for calibration: none is left to measure; use --samples`,
    );
  }
  const cut = samples * sizeOf(sample);
  return {
    calibration: { shape: [samples, ...sample], data: all.data.subarray(0, cut) },
    rest: { shape: [count - samples, ...sample], data: all.data.subarray(cut) },
  };
}
