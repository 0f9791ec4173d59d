import { extname } from "node:path";
import { MessageChannel, type MessagePort, Worker, type WorkerOptions } from "node:worker_threads";
import type { DeviceProfile } from "../../device-profiles/device.ts";
import { systemClock } from "../base/clock.ts";
import { Failure, messageOf } from "../base/failure.ts";
import type { Progress } from "../fleet/topics.ts";
import type { Accelerator } from "../plan/unit.ts";
import type { Preparation, Prepared, Preparer } from "./ports.ts";
import { fromPlain, type PlainError, serveAccelerator } from "./remote.ts";

/** What the worker begins with. */
export interface WorkOrder {
  readonly job: Preparation;
  readonly profile: DeviceProfile;
  /** To the accelerator. */
  readonly port: MessagePort;
}

/** What the worker says. The first `done` or `failed` is its last word. */
export type WorkerMessage =
  | { readonly type: "progress"; readonly progress: Progress }
  | { readonly type: "done"; readonly prepared: Prepared }
  | { readonly type: "failed"; readonly error: PlainError };

const MB = 2 ** 20;
/** The heap has a limit of its own; weights, samples and WebAssembly are outside of it. */
const WATCH_MS = 200;
/** Below this V8 can't even start. */
const LEAST_HEAP_MB = 64;

/**
 * Prepares in a worker of its own, which is killed when it is done, takes too much memory or is aborted: the float
 * model and tfjs leave nothing behind in the process that serves. `entry` is the worker's file, of tests.
 */
export function workerPreparer(profile: DeviceProfile, accelerator: Accelerator, entry: URL = workerFile()): Preparer {
  return {
    async prepare(job, report, signal) {
      signal.throwIfAborted();
      const { port1, port2 } = new MessageChannel();
      serveAccelerator(port1, accelerator);
      const over = new AbortController();
      const worker = startWorker(entry, {
        workerData: { job, profile, port: port2 } satisfies WorkOrder,
        transferList: [port2],
        resourceLimits: { maxOldGenerationSizeMb: Math.max(LEAST_HEAP_MB, profile.calibration.maxBytes / MB) },
      });
      try {
        return await Promise.race([outcome(worker, report, signal), tooBig(profile.calibration.maxBytes, over.signal)]);
      } finally {
        over.abort();
        port1.close();
        await worker.terminate();
      }
    },
  };
}

/** Rejects when the process has grown by more than that since. */
async function tooBig(maxBytes: number, signal: AbortSignal): Promise<never> {
  const before = process.memoryUsage.rss();
  for (;;) {
    await systemClock.sleep(WATCH_MS, signal);
    const grown = process.memoryUsage.rss() - before;
    if (grown <= maxBytes) continue;
    const message = `the preparation ended early: it took ${Math.round(grown / MB)} MB, ${Math.round(maxBytes / MB)} are allowed`;
    throw new Failure("calibration/aborted", message, { grown, maxBytes });
  }
}

/** From source, which is development, a worker has to be told how to read TypeScript. */
function startWorker(entry: URL, options: WorkerOptions): Worker {
  if (!entry.pathname.endsWith(".ts")) return new Worker(entry, options);
  const [tsx, file] = [import.meta.resolve("tsx/esm/api"), entry.href].map((url) => JSON.stringify(url));
  const script = `import(${tsx}).then(({ register }) => { register(); return import(${file}); })`;
  return new Worker(script, { ...options, eval: true });
}

function outcome(worker: Worker, report: (progress: Progress) => void, signal: AbortSignal): Promise<Prepared> {
  return new Promise((resolve, reject) => {
    const died = (why: string, cause?: unknown): void =>
      reject(new Failure("calibration/aborted", `the preparation ended early: ${why}`, {}, cause));
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    worker.on("error", (error: unknown) => died(messageOf(error), error));
    worker.on("exit", (code) => died(`exit code ${code}`));
    worker.on("message", (message: WorkerMessage) => {
      if (message.type === "progress") report(message.progress);
      else if (message.type === "done") resolve(message.prepared);
      else reject(fromPlain(message.error));
    });
  });
}

/** Beside this file, from source as from `dist`. */
function workerFile(): URL {
  return new URL(`./preparation${extname(import.meta.url)}`, import.meta.url);
}
