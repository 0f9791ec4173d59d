import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../runtime/base/clock.ts";
import { uniform } from "../../runtime/base/random.ts";
import { MAX_BLOCK_BYTES, WINDOW_BLOCKS } from "../../runtime/fleet/files/block.ts";
import { type BlobRef, Blobs } from "../../runtime/store/blobs.ts";
import { sha256 } from "../../runtime/store/digest.ts";
import { disk } from "../../runtime/store/disk.ts";
import type { Files } from "../../runtime/store/files.ts";
import { Artifacts } from "../../tools/fleet/artifacts.ts";
import { ConnectedDevice } from "../support/connected-device.ts";
import { MemoryDisk } from "../support/memory-disk.ts";
import { isHere, RealBroker } from "../support/real-broker.ts";

/** Models of 1 MB in blocks through a Mosquitto with TLS 1.3: how fast, and what interruptions cost. */
const interruptions = Number(process.argv[2] ?? 50);
const RUNS = 40;
const BYTES = 1_000_000;
const WINDOW = WINDOW_BLOCKS * MAX_BLOCK_BYTES;
const LEAST_MBPS = 20;
/** Until a device is back after its cable was pulled, and at it again. */
const BACK_MS = 300;
/** Slow enough that an interruption hits any block: 16 ms each. */
const SLOW_KBPS = 4000;
if (!isHere()) process.exit(1);

const broker = await RealBroker.start(["fleet", "pi-1"]);
const folder = await mkdtemp(join(tmpdir(), "polaredge-transfer-"));
/** What the operator sent, and how much of that a second time. */
class Ledger {
  readonly #high = new Map<string, number>();
  #again = 0;

  readonly read: Files["read"] = (path, off = 0, length = 0) => {
    const high = this.#high.get(path) ?? 0;
    this.#again += Math.max(0, Math.min(high, off + length) - off);
    this.#high.set(path, Math.max(high, Math.min(BYTES, off + length)));
    return disk.read(path, off, length);
  };

  /** Since the last time this was asked. */
  takeAgain(): number {
    const again = this.#again;
    this.#again = 0;
    return again;
  }
}

const ledger = new Ledger();
await Artifacts.serve(await broker.connect("fleet"), { ...disk, read: ledger.read }, folder);
await disk.makeFolder(join(folder, "blobs"));

async function publish(): Promise<BlobRef> {
  const data = randomBytes(BYTES);
  const ref = { sha256: sha256(data), bytes: BYTES };
  await disk.write(join(folder, "blobs", ref.sha256), data);
  return ref;
}

/** Megabytes a second, the fastest first. */
async function measure(): Promise<number[]> {
  const device = await ConnectedDevice.start("pi-1", broker);
  const blobs = new Blobs(disk, join(folder, "device"));
  await disk.makeFolder(join(folder, "device"));
  const rates: number[] = [];
  for (let run = 0; run < RUNS; run++) {
    const part = await blobs.part(await publish());
    const began = performance.now();
    await device.transfers.fetch(part, { clock: systemClock, signal: AbortSignal.timeout(60_000) });
    rates.push(BYTES / 1000 / (performance.now() - began));
  }
  await device.end();
  return rates.sort((a, b) => b - a);
}

const random = uniform(7);
/** Of each interruption: bytes that were sent again. */
const costs: number[] = [];

/** A device with this card, until its cable was pulled and its power cut. Whether the file has arrived. */
async function trouble(ref: BlobRef, card: MemoryDisk): Promise<boolean> {
  const device = await ConnectedDevice.start("pi-1", broker);
  const power = new AbortController();
  const part = await new Blobs(card, "/blobs").part(ref);
  const fetching = device.transfers
    .fetch(part, { clock: systemClock, signal: power.signal, maxKBps: SLOW_KBPS })
    .then(() => true)
    .catch(() => false);
  await systemClock.sleep(100 * random());
  if (part.length < BYTES) costs.push(ledger.takeAgain());
  device.cut();
  await systemClock.sleep(BACK_MS + 100 * random());
  if (part.length < BYTES) costs.push(ledger.takeAgain());
  power.abort();
  const done = await fetching;
  await device.end();
  return done;
}

/** Until there were enough interruptions. How many files arrived. */
async function interrupt(): Promise<number> {
  let files = 0;
  for (ledger.takeAgain(); costs.length < interruptions; files++) {
    const ref = await publish();
    let card = new MemoryDisk();
    while (!(await trouble(ref, card))) {
      const outcomes = card.outcomes();
      card = outcomes[Math.floor(random() * outcomes.length)] ?? card;
    }
  }
  costs.push(ledger.takeAgain());
  return files;
}

const rates = await measure();
const [best = 0, median = 0] = [rates[0], rates[rates.length >> 1]];
console.log(`1 MB, TLS 1.3, ${RUNS} times: ${best.toFixed(1)} MB/s at best, ${median.toFixed(1)} MB/s in the middle`);
const files = await interrupt();
const most = Math.max(...costs);
const mean = costs.reduce((sum, cost) => sum + cost, 0) / (costs.length - 1);
console.log(`${costs.length - 1} interruptions of ${files} files, each arrived whole`);
await broker.stop();
await rm(folder, { recursive: true });
const good = best >= LEAST_MBPS && most <= WINDOW;
console.log(
  `transfer: ${best.toFixed(1)} MB/s (bar ${LEAST_MBPS}), sent again after an interruption: ${(mean / 1024).toFixed(0)} KiB ` +
    `on average, ${(most / 1024).toFixed(0)} KiB at most (window ${WINDOW / 1024} KiB); ${good ? "all held" : "FAILED"}`,
);
process.exit(good ? 0 : 1);
