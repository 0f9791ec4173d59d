import { messageOf } from "../../runtime/base/failure.ts";
import { engines, type Infer } from "./engines.ts";
import type { Figures, Order, Reply } from "./protocol.ts";

/** One process measures one engine: `worker <engine> <file>`, told what to do over its IPC channel. */

/** Until V8 has compiled everything for good. */
const WARM_UP_MS = 400;
const ROUND_MS = 50;

/** Of one inference each, in microseconds; more than fit are not needed. */
const timings = new Float64Array(2 ** 16);
let timed = 0;

try {
  const [engine, file] = process.argv.slice(2);
  const infer = await engines[engine](file);
  await infer();
  const coldMs = performance.now();
  await repeat(infer, WARM_UP_MS);
  timed = 0;
  process.on("message", (order: Order) => void obey(order, infer));
  say({ type: "ready", coldMs });
} catch (error) {
  say({ type: "failed", message: messageOf(error) });
}

async function obey(order: Order, infer: Infer): Promise<void> {
  if (order === "finish") {
    say({ type: "figures", figures: figures() });
    process.disconnect();
    return;
  }
  await repeat(infer, ROUND_MS);
  say({ type: "round" });
}

/** An engine that answers at once is not made to wait for a promise. */
async function repeat(infer: Infer, milliseconds: number): Promise<void> {
  const end = performance.now() + milliseconds;
  for (let start = performance.now(); start < end; ) {
    const answer = infer();
    if (answer instanceof Promise) await answer;
    const now = performance.now();
    if (timed < timings.length) timings[timed++] = (now - start) * 1000;
    start = now;
  }
}

function figures(): Figures {
  const sorted = timings.slice(0, timed).sort();
  const at = (share: number): number => sorted[Math.floor(share * (sorted.length - 1))];
  return { minUs: at(0), medianUs: at(0.5), p999Us: at(0.999), rssMb: process.memoryUsage.rss() / 2 ** 20 };
}

function say(reply: Reply): void {
  process.send?.(reply);
}
