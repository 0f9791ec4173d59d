import { parentPort, workerData } from "node:worker_threads";
import type { WorkOrder } from "../../runtime/agent/preparer.ts";
import { remoteAccelerator, toPlain } from "../../runtime/agent/remote.ts";
import { Failure } from "../../runtime/base/failure.ts";

/** A worker that does what its model's first byte says. */
const { job, port } = workerData as WorkOrder;
const layer = { name: "conv", rows: 2, columns: 1, weights: new Float32Array(2), typicalInputs: new Uint8Array(2) };

async function work(): Promise<unknown> {
  parentPort?.postMessage({ type: "progress", progress: { stage: "import", done: 0, of: 1 } });
  switch (job.model[0]) {
    case 0:
      return { model: job.model, answers: job.probes.data };
    case 1:
      throw new Failure("import/unsupported-operator", "operator Foo", { node: "n1" });
    case 2:
      return process.exit(3);
    case 3: {
      const hoard: number[][] = [];
      for (;;) hoard.push(Array.from({ length: 100_000 }, (_, i) => i));
    }
    case 4:
      return new Promise((resolve) => setTimeout(resolve, 1e9));
    case 6: {
      const hoard: Buffer[] = [];
      for (;;) {
        hoard.push(Buffer.alloc(2 ** 24, hoard.length));
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    }
    default: {
      const unit = await remoteAccelerator(port).place([{ ...layer, positions: 1 }]);
      const products = await unit.multiply("conv", Uint8Array.of(3, 4), 1);
      const nominal = await unit.nominal("conv");
      const refusal = await unit.multiply("other", Uint8Array.of(1), 1).catch(toPlain);
      parentPort?.postMessage({ type: "progress", progress: { stage: JSON.stringify(refusal), done: 1, of: 1 } });
      return {
        model: new TextEncoder().encode(`${unit.uid} ${[...unit.layers]}`),
        answers: Float32Array.of(...products, ...nominal),
      };
    }
  }
}

work().then(
  (prepared) => parentPort?.postMessage({ type: "done", prepared }),
  (error: unknown) => parentPort?.postMessage({ type: "failed", error: toPlain(error) }),
);
