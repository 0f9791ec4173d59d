import { parentPort, workerData } from "node:worker_threads";
import { openTeacher } from "../kernels/float.ts";
import { importModel } from "../model/import.ts";
import type { Accelerator, MatmulUnit, UnitLayer } from "../plan/unit.ts";
import { layerFits } from "../polarize/fit.ts";
import { prepare } from "../polarize/prepare.ts";
import { encodeModel } from "../quantize/file.ts";
import type { Prepared } from "./ports.ts";
import type { WorkerMessage, WorkOrder } from "./preparer.ts";
import { remoteAccelerator, toPlain } from "./remote.ts";

/** The worker of preparer.ts: one float model in, one prepared model and the float answers to its probes out. */
async function work({ job, profile, port }: WorkOrder): Promise<Prepared> {
  const accelerator = job.unit === "accelerator" ? new Placing(remoteAccelerator(port)) : undefined;
  const model = await prepare({ ...job, profile }, accelerator, (progress) => say({ type: "progress", progress }));
  const teacher = await openTeacher(importModel(job.model, job.name));
  try {
    const { output } = await teacher.run(job.probes.data, job.probes.shape[0] ?? 0);
    const layers = await layerFits(model, accelerator?.placed, teacher, job.probes);
    return { model: encodeModel(model), answers: output, layers };
  } finally {
    teacher.close();
  }
}

/** Remembers what was placed last. */
class Placing implements Accelerator {
  readonly #accelerator: Accelerator;
  placed: MatmulUnit | undefined;

  constructor(accelerator: Accelerator) {
    this.#accelerator = accelerator;
  }

  async place(layers: readonly UnitLayer[]): Promise<MatmulUnit> {
    this.placed = await this.#accelerator.place(layers);
    return this.placed;
  }
}

function say(message: WorkerMessage): void {
  parentPort?.postMessage(message);
}

work(workerData as WorkOrder).then(
  (prepared) => say({ type: "done", prepared }),
  (error: unknown) => say({ type: "failed", error: toPlain(error) }),
);
