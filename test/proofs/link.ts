import { loadAcceleratorProfile } from "../../device-profiles/profiles.ts";
import { EmulatedDevice } from "../../firmware-bridge/emulator/device.ts";
import { serve } from "../../firmware-bridge/emulator/serve.ts";
import { openOver } from "../../firmware-bridge/open.ts";
import { type LineFaults, pair } from "../../firmware-bridge/transport/pair.ts";
import type { Transport } from "../../firmware-bridge/transport/transport.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { patternLayer } from "../support/pattern-layer.ts";

/**
 * `npm run proof:link [-- FRAMES]`: products over a line of 921,600 baud, in virtual time. A line that spoils one byte
 * in a thousand and loses and repeats one write in a hundred must give the same answers, and at least 60 % of what a
 * clean line carries; a clean line must be busy for at least 85 % of the time.
 */
const frames = Number(process.argv[2] ?? 100_000);
const BAR = { goodput: 0.6, efficiency: 0.85 } as const;
const BAUD = 921_600;
const FAULTS: LineFaults = { seed: 5, byteErrors: 1e-3, drops: 0.01, duplicates: 0.01 };

const profile = await loadAcceleratorProfile("ideal");

interface Run {
  readonly sums: Float32Array;
  readonly ms: number;
  readonly retransmits: number;
  readonly crcErrors: number;
  /** On the wire, of the busier direction. */
  readonly bytes: number;
}

/** `vectors` of `rows` codes through a device whose frames hold `mtu` bytes. */
async function run(faults: LineFaults, mtu: number, rows: number, columns: number, vectors: number): Promise<Run> {
  const clock = new ManualClock();
  const bytes = { up: 0, down: 0 };
  const small = { ...profile, link: { ...profile.link, mtu } };
  const device = new EmulatedDevice(small, { bootId: 1 });
  const connect = async () => {
    const [host, far] = pair(faults, "line", { baudRate: BAUD, clock });
    void serve(device, counting(far, bytes));
    return host;
  };
  const link = await clock.until(openOver(connect, small, device, { clock }));
  const layer = patternLayer(rows, columns, 4);
  const unit = await clock.until(link.place([layer]));
  const inputs = Uint8Array.from({ length: rows * vectors }, (_, i) => (i * 131 + (i >> 7)) & 0xff);
  // The first ones teach the unit how wide the sums are.
  await clock.until(unit.multiply("layer", inputs.subarray(0, rows * 10), 10));
  const before = link.session.health;
  Object.assign(bytes, { up: 0, down: 0 });
  const began = clock.uptimeMs();
  const sums = await clock.until(unit.multiply("layer", inputs, vectors), Number.POSITIVE_INFINITY);
  const ms = clock.uptimeMs() - began;
  const { retransmits, crcErrors } = link.session.health;
  await link.close();
  return { sums, ms, retransmits: retransmits - before.retransmits, crcErrors, bytes: Math.max(bytes.up, bytes.down) };
}

/** The device's end of a line, and what passes it. */
function counting(line: Transport, bytes: { up: number; down: number }): Transport {
  return {
    name: line.name,
    listen: (listener) =>
      line.listen({
        data: (data) => {
          bytes.up += data.length;
          listener.data(data);
        },
        closed: (reason) => listener.closed(reason),
      }),
    write: (data) => {
      bytes.down += data.length;
      line.write(data);
    },
    close: () => line.close(),
  };
}

const clean = await run({ seed: 0 }, 64, 32, 8, frames);
const noisy = await run(FAULTS, 64, 32, 8, frames);
const same = clean.sums.every((sum, i) => sum === noisy.sums[i]);
const goodput = clean.ms / noisy.ms;

const large = await run({ seed: 0 }, 2000, 256, 64, Math.ceil(frames / 20));
const efficiency = (large.bytes * 10_000) / BAUD / large.ms;

const good = same && goodput >= BAR.goodput && efficiency >= BAR.efficiency;
process.stdout.write(
  `${good ? "ok" : "FAILED"}: proof:link ${frames} frames, ${noisy.crcErrors} spoiled answers, ${noisy.retransmits} repetitions, ` +
    `answers ${same ? "all right" : "WRONG"}; goodput ${(100 * goodput).toFixed(0)} % of the clean line's (bar 60 %); ` +
    `batches fill ${(100 * efficiency).toFixed(0)} % of ${BAUD} baud (bar 85 %)\n`,
);
process.exit(good ? 0 : 1);
