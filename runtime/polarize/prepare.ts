import { type DeviceProfile, digitalAbovePct } from "../../device-profiles/device.ts";
import { systemClock } from "../base/clock.ts";
import { Failure } from "../base/failure.ts";
import { loadWasm } from "../kernels/wasm.ts";
import { importModel } from "../model/import.ts";
import type { FloatModel, PolarizedModel } from "../model/stages.ts";
import type { Accelerator, MatmulUnit } from "../plan/unit.ts";
import { formats } from "../quantize/formats.ts";
import { type QuantizationPolicy, quantizeModel } from "../quantize/quantize.ts";
import { shapeText, sizeOf, type Tensor } from "../tensor/tensor.ts";
import { augmented, observe } from "./augment.ts";
import { chooseMix } from "./mix/mix.ts";
import { unitLayersOf } from "./placement.ts";
import { type Calibration, polarize, polarizeAccelerator } from "./polarize.ts";
import { counted, type Placed, type Recovery, recover, recoverySteps, type Standing } from "./recovery.ts";
import { isStatistics, type Samples } from "./statistics.ts";
import { synthesize } from "./synthesis.ts";

export interface PrepareJob {
  /** The float model as downloaded. */
  readonly model: Uint8Array;
  readonly name: string;
  /** Unlabeled calibration samples, [count, ...] with the model's input shape (NHWC) after the count, or what is known of them. */
  readonly samples: Samples;
  readonly profile: Pick<DeviceProfile, "quantization" | "surrogate" | "calibration" | "drift" | "energy">;
}

export interface Progress {
  readonly stage:
    | "import"
    | "observe"
    | "choose"
    | "quantize"
    | "polarize"
    | "distill"
    | "place"
    | "accelerator"
    | "measure";
  readonly done: number;
  readonly of: number;
}
export type Report = (progress: Progress) => void;

/** From a downloaded float model to one that a device can serve: all of DESIGN's "the model's way" but the plan. */
export async function prepare(
  job: PrepareJob,
  accelerator?: Accelerator,
  report: Report = () => undefined,
): Promise<PolarizedModel> {
  report({ stage: "import", done: 0, of: 1 });
  const basis = await calibrationOf(importModel(job.model, job.name), job, report);
  if (!accelerator) return lowered(basis, job.profile.quantization, report);
  const { model, unit } = await placed(basis, job.profile.quantization, accelerator, report);
  return polarizeAccelerator(model, { ...basis, onLayer: reporter(report, "accelerator") }, unit);
}

/**
 * Fits a model to what has become of the tiles that hold it. Only if no refit is good enough they are programmed
 * again, with a model prepared anew.
 */
export async function recalibrate(
  job: PrepareJob,
  installed: Placed,
  accelerator: Accelerator,
  report: Report,
  goal: { readonly judge: (placed: Placed) => Promise<Standing>; readonly enoughPct: number },
): Promise<Recovery> {
  const float = importModel(job.model, job.name);
  const basis = { ...(await calibrationOf(float, job, report)), onLayer: reporter(report, "accelerator") };
  let products = 0;
  const metered = (unit: MatmulUnit): MatmulUnit => counted(unit, (count) => (products += count));
  const before = { ...installed, unit: metered(installed.unit) };
  const steps = recoverySteps(before, basis, {
    async renewed() {
      const unit = await accelerator.renewed?.();
      return unit && metered(unit);
    },
    async anew() {
      const { model, unit } = await placed(basis, job.profile.quantization, accelerator, report);
      return { model, unit: metered(unit) };
    },
  });
  const meter = { products: () => products, nowMs: systemClock.uptimeMs };
  return recover(before, steps, goal.judge, goal.enoughPct, meter);
}

/** The digital half, and its layers on tiles. */
async function placed(
  basis: Calibration,
  policy: QuantizationPolicy,
  accelerator: Accelerator,
  report: Report,
): Promise<Placed> {
  const model = await lowered(basis, policy, report);
  report({ stage: "place", done: 0, of: 1 });
  return { model, unit: await accelerator.place(unitLayersOf(model, basis)) };
}

/** The digital half: formats chosen, weights rounded, every layer corrected, all of them distilled if the profile asks. */
export async function lowered(basis: Calibration, policy: QuantizationPolicy, report: Report): Promise<PolarizedModel> {
  const mix = await chooseMix({ ...basis, onLayer: reporter(report, "choose") }, policy);
  const corrected = async (calibration: Calibration, told: Report): Promise<PolarizedModel> => {
    told({ stage: "quantize", done: 0, of: 1 });
    const seen = isCoarse(policy) ? await augmented(calibration) : calibration;
    const quantized = quantizeModel(seen.float, seen.observed, policy, mix);
    return polarize(quantized, { ...seen, mix, rounding: policy.rounding, onLayer: reporter(told, "polarize") });
  };
  const model = await corrected(basis, report);
  const { distillSteps: of = 0 } = basis;
  if (of === 0) return model;
  report({ stage: "distill", done: 0, of });
  const { distilled } = await import("./distill/distill.ts");
  const silent: Report = () => undefined;
  return distilled(
    (part) => corrected(part, silent),
    model,
    basis,
    of,
    (done, of) => report({ stage: "distill", done, of }),
  );
}

/** Up to so many bits more samples are worth the time they take. */
const COARSE_BITS = 2;

/** A mix has layers of few bits. (Keywords at 4.0 on average, over 15 draws: agreement 97.6 -> 97.9 %, KL .0101 -> .0089.) */
function isCoarse({ weights, budget }: QuantizationPolicy): boolean {
  return budget !== undefined || formats[weights].bits <= COARSE_BITS;
}

/**
 * The float model's own answers on the samples: everything that quantizing and correcting is measured by.
 * @throws Failure input/shape, calibration/too-few-samples
 */
export async function calibrationOf(float: FloatModel, job: PrepareJob, report: Report): Promise<Calibration> {
  const { samples: given, profile } = job;
  const made = isStatistics(given) ? await synthesize(float, given, profile.calibration.samples, SEED) : given;
  const samples = acceptedSamples(float, made, profile.calibration.samples);
  report({ stage: "observe", done: 0, of: 1 });
  const count = samples.shape[0];
  const observed = await observe(float, samples.data, count);
  const { rank, driftedMacsPct = 0, distillSteps } = job.profile.surrogate;
  const macsShare = driftedMacsPct / 100;
  const digitalAbove = digitalAbovePct(job.profile.drift) / 100;
  const { energy } = profile;
  const kernels = await loadWasm();
  return { float, observed, samples: count, rank, macsShare, digitalAbove, energy, distillSteps, kernels };
}

/** Of synthetic samples: a device that prepares again gets the same model. */
const SEED = 1;

/** The first samples, as many as the profile asks for. */
function acceptedSamples({ graph }: FloatModel, samples: Tensor, most: number): Tensor {
  const size = sizeOf(graph.input.shape);
  const count = Math.min(samples.shape[0] ?? 0, most);
  if (count === 0) {
    throw new Failure(
      "calibration/too-few-samples",
      `no calibration samples for ${graph.name}; at least one is needed`,
    );
  }
  if (sizeOf(samples.shape) !== samples.shape[0] * size) {
    throw new Failure(
      "input/shape",
      `calibration samples of shape ${shapeText(samples.shape)}; ${graph.name} takes ` +
        `${shapeText([samples.shape[0], ...graph.input.shape.slice(1)])} (NHWC)`,
    );
  }
  return { shape: [count, ...samples.shape.slice(1)], data: samples.data.slice(0, count * size) };
}

function reporter(report: Report, stage: Progress["stage"]): Calibration["onLayer"] {
  return (_layer, done, of) => report({ stage, done, of });
}
