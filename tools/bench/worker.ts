import { messageOf } from "../../runtime/base/failure.ts";
import { engines, type Infer } from "./engines.ts";
import { Loop } from "./loop.ts";
import type { Figures, Order, Reply } from "./protocol.ts";
import { Timings } from "./timings.ts";

/** One process measures one engine: `worker <engine> <file>`, told what to do over its IPC channel. */

/** Until V8 has compiled everything for good. */
const WARM_UP_MS = 400;
const ROUND_MS = 100;

/** Of one inference each, and of one loop each. */
const own = new Timings();
const idle = new Timings();

try {
  const [engine, file] = process.argv.slice(2);
  const infer = await engines[engine](file);
  await infer();
  const coldMs = performance.now();
  const warm = new Timings();
  await repeat(WARM_UP_MS, infer, warm);
  const [medianUs] = warm.at(0.5);
  const loop = new Loop(medianUs);
  process.on("message", (order: Order) => void obey(order, infer, loop));
  say({ type: "ready", coldMs });
} catch (error) {
  say({ type: "failed", message: messageOf(error) });
}

async function obey(order: Order, infer: Infer, loop: Loop): Promise<void> {
  if (order === "finish") {
    say({ type: "figures", figures: figures() });
    process.disconnect();
    return;
  }
  await repeat(ROUND_MS, infer, own, loop);
  say({ type: "round" });
}

/** An engine that answers at once is not made to wait for a promise. The loop takes turns with it. */
async function repeat(milliseconds: number, infer: Infer, timings: Timings, loop?: Loop): Promise<void> {
  const end = performance.now() + milliseconds;
  for (let start = performance.now(); start < end; ) {
    const answer = infer();
    if (answer instanceof Promise) await answer;
    const answered = performance.now();
    timings.add(answered - start);
    loop?.run();
    start = performance.now();
    if (loop) idle.add(start - answered);
  }
}

function figures(): Figures {
  const [minUs, medianUs, p999Us] = own.at(0, 0.5, 0.999);
  const [idleUs, idle999Us] = idle.at(0.5, 0.999);
  return { minUs, medianUs, p999Us, floor: idle999Us / idleUs, rssMb: process.memoryUsage.rss() / 2 ** 20 };
}

function say(reply: Reply): void {
  process.send?.(reply);
}
