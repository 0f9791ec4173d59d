import { parentPort, workerData } from "node:worker_threads";
import { systemClock } from "../base/clock.ts";
import { askProbes } from "../health/probes.ts";
import { openTeacher } from "../kernels/float.ts";
import { importModel } from "../model/import.ts";
import type { FloatModel, PolarizedModel } from "../model/stages.ts";
import type { FloatTeacher } from "../model/teacher.ts";
import { openPlan } from "../plan/open.ts";
import type { Accelerator, MatmulUnit } from "../plan/unit.ts";
import { layerFits } from "../polarize/fit.ts";
import { type PrepareJob, type Progress, prepare, recalibrate } from "../polarize/prepare.ts";
import { type Placed, returnedLayers, type Standing, type StepTaken } from "../polarize/recovery.ts";
import { decodeModel, encodeModel } from "../quantize/file.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { Preparation, Prepared } from "./ports.ts";
import type { WorkerMessage, WorkOrder } from "./preparer.ts";
import { remoteAccelerator, toPlain } from "./remote.ts";

/** The worker of preparer.ts: one float model in, one prepared model and the float answers to its probes out. */
async function work({ job, profile, port }: WorkOrder): Promise<Prepared> {
  const float = importModel(job.model, job.name);
  const answers = await taught(float, async (teacher) => {
    const { output } = await teacher.run(job.probes.data, job.probes.shape[0] ?? 0);
    return output;
  });
  const { model, unit, steps } = await modelOf({ ...job, profile }, remoteAccelerator(port), answers);
  const layers = await taught(float, (teacher) => layerFits(model, unit, teacher, job.probes));
  return { model: encodeModel(model), answers, layers, steps, returned: unit && returnedLayers({ model, unit }) };
}

/** A teacher takes memory that the preparation needs, so none is kept open meanwhile. */
async function taught<T>(float: FloatModel, lesson: (teacher: FloatTeacher) => Promise<T>): Promise<T> {
  const teacher = await openTeacher(float);
  try {
    return await lesson(teacher);
  } finally {
    teacher.close();
  }
}

interface Made {
  readonly model: PolarizedModel;
  readonly unit?: MatmulUnit | undefined;
  readonly steps?: readonly StepTaken[];
}

/** Prepared anew, unless the tiles still hold a model that can be refitted. */
async function modelOf(
  job: PrepareJob & Preparation,
  remote: Required<Accelerator>,
  answers: Float32Array,
): Promise<Made> {
  if (job.unit === "digital") return { model: await prepare(job, undefined, report) };
  const held = job.installed && (await remote.held());
  if (job.installed && held) {
    const judge = (placed: Placed): Promise<Standing> => standingOf(placed, job.probes, answers);
    const installed = { model: decodeModel(job.installed.model), unit: held };
    return recalibrate(job, installed, remote, report, { judge, enoughPct: job.installed.enoughPct });
  }
  let unit: MatmulUnit | undefined;
  const place: Accelerator["place"] = async (layers) => (unit = await remote.place(layers));
  const model = await prepare(job, { place }, report);
  return { model, unit };
}

/** On the probes, which no correction is fitted to. @throws the first fault of the accelerator */
async function standingOf({ model, unit }: Placed, probes: Tensor, answers: Float32Array): Promise<Standing> {
  const onFault = (_: string, error: Error): never => {
    throw error;
  };
  const runner = await openPlan(model, { unit, onFault });
  const asked = { count: probes.shape[0] ?? 0, inputs: probes.data, answers };
  return askProbes(asked, (input) => runner.run(input), systemClock.uptimeMs);
}

function report(progress: Progress): void {
  say({ type: "progress", progress });
}

function say(message: WorkerMessage): void {
  parentPort?.postMessage(message);
}

work(workerData as WorkOrder).then(
  (prepared) => say({ type: "done", prepared }),
  (error: unknown) => say({ type: "failed", error: toPlain(error) }),
);
