import type { DeviceProfile } from "../../device-profiles/device.ts";
import { Failure } from "../base/failure.ts";
import { openTeacher } from "../kernels/float.ts";
import { loadWasm } from "../kernels/wasm.ts";
import { importModel } from "../model/import.ts";
import type { FloatModel, PolarizedModel } from "../model/stages.ts";
import type { Accelerator } from "../plan/unit.ts";
import { type QuantizationPolicy, quantizeModel } from "../quantize/quantize.ts";
import { shapeText, sizeOf, type Tensor } from "../tensor/tensor.ts";
import { chooseMix } from "./mix.ts";
import { unitLayersOf } from "./placement.ts";
import { type Calibration, polarize, polarizeAccelerator } from "./polarize.ts";
import { isStatistics, type Samples } from "./statistics.ts";
import { synthesize } from "./synthesis.ts";

export interface PrepareJob {
  /** The float model as downloaded. */
  readonly model: Uint8Array;
  readonly name: string;
  /** Unlabeled calibration samples, [count, ...] with the model's input shape (NHWC) after the count, or what is known of them. */
  readonly samples: Samples;
  readonly profile: Pick<DeviceProfile, "quantization" | "surrogate" | "calibration">;
}

export interface Progress {
  readonly stage: "import" | "observe" | "choose" | "quantize" | "polarize" | "place" | "accelerator" | "measure";
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
  const float = importModel(job.model, job.name);
  const basis = await calibrationOf(float, job, report);
  const polarized = await lowered(basis, job.profile.quantization, report);
  if (!accelerator) return polarized;
  report({ stage: "place", done: 0, of: 1 });
  const unit = await accelerator.place(unitLayersOf(polarized, basis));
  return polarizeAccelerator(polarized, { ...basis, onLayer: reporter(report, "accelerator") }, unit);
}

/** The digital half: formats chosen, weights rounded, every layer corrected. */
export async function lowered(basis: Calibration, policy: QuantizationPolicy, report: Report): Promise<PolarizedModel> {
  const mix = await chooseMix({ ...basis, onLayer: reporter(report, "choose") }, policy);
  report({ stage: "quantize", done: 0, of: 1 });
  const quantized = quantizeModel(basis.float, basis.observed, policy, "gptq", basis.rank, mix);
  return polarize(quantized, { ...basis, mix, onLayer: reporter(report, "polarize") });
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
  const teacher = await openTeacher(float);
  try {
    const names = float.graph.nodes.map(({ name }) => name);
    const { taps } = await teacher.run(samples.data, count, names);
    const observed = new Map([...taps, [float.graph.input.name, samples.data]]);
    return { float, observed, samples: count, rank: job.profile.surrogate.rank, kernels: await loadWasm() };
  } finally {
    teacher.close();
  }
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
