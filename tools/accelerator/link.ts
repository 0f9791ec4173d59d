import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { readFile } from "node:fs/promises";
import { ReplayDevice } from "../../firmware-bridge/emulator/replay.ts";
import { serve } from "../../firmware-bridge/emulator/serve.ts";
import { connector } from "../../firmware-bridge/open.ts";
import { openPty } from "../../firmware-bridge/transport/pty.ts";
import { parseRecording, passageLine, recorded } from "../../firmware-bridge/transport/recording.ts";
import { table, thousands } from "../cli/table.ts";
import { countLink, type LinkCounts } from "./link-counts.ts";

interface LinkOptions {
  readonly json?: boolean;
}

interface RecordOptions extends LinkOptions {
  /** Bits a second. */
  readonly baud: number;
}

/**
 * `polaredge link record`: prints a path that leads to the device, and writes down what passes until it is told to end
 * or one of the ends is gone.
 * @throws Failure `bridge/open`
 */
export async function recordLink(address: string, file: string, { baud, json }: RecordOptions): Promise<void> {
  const device = await (await connector(address, baud))();
  const pty = await openPty();
  const log = createWriteStream(file);
  const began = performance.now();
  const line = recorded(
    device,
    () => performance.now() - began,
    (passage) => log.write(passageLine(passage)),
  );
  console.log(json ? JSON.stringify({ path: pty.path }) : pty.path);
  await new Promise<void>((resolve) => {
    const end = (): void => resolve();
    line.listen({ data: (bytes) => pty.device.write(bytes), closed: end });
    pty.device.listen({ data: (bytes) => line.write(bytes), closed: end });
    for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, end);
  });
  await line.close();
  await pty.unplug();
  log.end();
  await once(log, "finish");
}

/** `polaredge link replay`: prints the path of a device that answers as the recorded one did, until it is told to end. */
export async function replayLink(file: string, { json }: LinkOptions): Promise<void> {
  const device = new ReplayDevice(parseRecording(await readFile(file, "utf8")));
  const pty = await openPty();
  void serve(device, pty.device);
  console.log(json ? JSON.stringify({ path: pty.path }) : pty.path);
  await Promise.race(["SIGINT", "SIGTERM"].map((signal) => once(process, signal)));
  await pty.unplug();
}

/** `polaredge link stats`. */
export async function linkStats(file: string, { json }: LinkOptions): Promise<void> {
  const counts = countLink(parseRecording(await readFile(file, "utf8")));
  console.log(json === true ? JSON.stringify(counts, undefined, 2) : statsText(counts));
}

function statsText({ seconds, bytes, discarded, repetitions, restarts, commands }: LinkCounts): string {
  const ms = (value: number | null): string => (value === null ? "-" : value.toFixed(2));
  const rows = Object.entries(commands).map(([name, { requests, refusals, medianMs, p95Ms }]) => [
    name,
    thousands(requests),
    thousands(refusals),
    ms(medianMs),
    ms(p95Ms),
  ]);
  const numbers = ["requests", "refused", "median ms", "p95 ms"].map((title) => ({ title, align: "right" }) as const);
  return [
    `${seconds.toFixed(1)} s, ${thousands(bytes.device)} bytes to the device, ${thousands(bytes.host)} back`,
    `${discarded.device} blocks damaged on the way there, ${discarded.host} on the way back; ${repetitions} repetitions, ${restarts} restarts`,
    "",
    table([{ title: "command" }, ...numbers], rows),
  ].join("\n");
}
