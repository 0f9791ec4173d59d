import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadAcceleratorProfile } from "../../device-profiles/profiles.ts";
import { EmulatedDevice } from "../../firmware-bridge/emulator/device.ts";
import { Flash } from "../../firmware-bridge/emulator/flash.ts";
import { decodeReply, decodeRequest } from "../../firmware-bridge/protocol/codec.ts";
import { commandOf, commands } from "../../firmware-bridge/protocol/commands.ts";
import { Deframer, encodeFrame, type Frame } from "../../firmware-bridge/protocol/frame.ts";
import { isFailure } from "../../runtime/base/failure.ts";
import { uniform } from "../../runtime/base/random.ts";
import { buildFirmware, missingPrograms } from "../../tools/accelerator/firmware.ts";

/**
 * `npm run proof:fuzz [-- MINUTES]`: libFuzzer, guided by coverage, on the firmware's parser and commands with address
 * and undefined-behaviour checks; meanwhile damaged and invented frames on the TypeScript deframer, codec and emulator.
 * No crash, no hang, no exception but the codec's own.
 */
const minutes = Number(process.argv[2] ?? 10);
/** Of processor time: the machine may have other things to do. */
const SLOWEST_MS = 2000;
const missing = missingPrograms("make", "clang");
if (missing) {
  process.stdout.write(`skipped: proof:fuzz: ${missing}\n`);
  process.exit(1);
}

async function fuzzFirmware(): Promise<{ good: boolean; runs: string; said: string }> {
  const corpus = await mkdtemp(join(tmpdir(), "polaredge-fuzz-"));
  const limits = [`-max_total_time=${Math.round(60 * minutes)}`, "-max_len=2048", "-timeout=20"];
  const child = spawn(buildFirmware("fuzz"), [...limits, `-artifact_prefix=${corpus}-`, corpus], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  let said = "";
  child.stderr.on("data", (text: Buffer) => {
    said = (said + text).slice(-4000);
  });
  const code = await new Promise((resolve) => child.once("exit", resolve));
  await rm(corpus, { recursive: true, force: true });
  return { good: code === 0, runs: /Done (\d+) runs/.exec(said)?.[1] ?? "0", said };
}

const profile = await loadAcceleratorProfile("sram-bitplane-64x64");
const device = new EmulatedDevice(profile, { bootId: 1, flash: new Flash("fuzz", 1024) });
const ids = Object.values(commands).map(({ id }) => id);
const next = uniform(Date.now());
const pick = (below: number): number => Math.floor(below * next());
const bytes = (length: number, below = 256): Uint8Array => Uint8Array.from({ length }, () => pick(below));

/** A frame whose payload is of a likely length, with small numbers more often than not; whole or damaged. */
function invented(): Uint8Array {
  const command = next() < 0.95 ? (ids[pick(ids.length)] ?? 0) : pick(256);
  const payload = bytes(next() < 0.9 ? pick(24) : pick(2000), next() < 0.6 ? 4 : 256);
  const kind = (["request", "request", "reply", "refusal"] as const)[pick(4)] ?? "request";
  const frame = encodeFrame({ kind, command, sequence: pick(9), ack: pick(9), payload });
  for (let damage = pick(4) - 2; damage > 0; damage--) frame[pick(frame.length)] = pick(256);
  return next() < 0.1 ? frame.subarray(pick(frame.length)) : frame;
}

/** The codec may refuse; it may not fail otherwise. */
function decode({ command, payload }: Frame): void {
  const name = commandOf(command);
  if (!name) return;
  for (const decode of [decodeRequest, decodeReply]) {
    try {
      decode(name, payload);
    } catch (error) {
      if (!isFailure(error)) throw error;
    }
  }
}

/** Returns how many frames were tried. @throws whatever should not be thrown */
async function fuzzTypeScript(): Promise<number> {
  const deframer = new Deframer();
  const end = performance.now() + 60_000 * minutes;
  let tried = 0;
  for (; performance.now() < end; tried++) {
    const input = next() < 0.9 ? invented() : bytes(pick(3000));
    const began = process.cpuUsage();
    for (const frame of deframer.push(input)) decode(frame);
    device.receive(input);
    if (process.cpuUsage(began).user > 1000 * SLOWEST_MS)
      throw new Error(`slow: ${Buffer.from(input).toString("hex")}`);
    if (tried % 200 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  return tried;
}

const [firmware, tried] = await Promise.all([fuzzFirmware(), fuzzTypeScript()]);
if (!firmware.good) process.stdout.write(firmware.said);
process.stdout.write(
  `${firmware.good ? "ok" : "FAILED"}: proof:fuzz ${minutes} min, ${firmware.runs} runs of the firmware, ` +
    `${tried} frames through the TypeScript side, no crash, no hang\n`.replace(
      "no crash",
      firmware.good ? "no crash" : "A CRASH",
    ),
);
process.exit(firmware.good ? 0 : 1);
