import * as assert from "uvu/assert";
import type { AcceleratorProfile } from "../../device-profiles/accelerator.ts";
import { EmulatedDevice } from "../../firmware-bridge/emulator/device.ts";
import { Session } from "../../firmware-bridge/session.ts";
import type { LineFaults } from "../../firmware-bridge/transport/pair.ts";
import type { Transport } from "../../firmware-bridge/transport/transport.ts";
import { gaussian } from "../../runtime/base/random.ts";
import type { UnitLayer } from "../../runtime/plan/unit.ts";
import { lineTo } from "./line.ts";
import { ManualClock } from "./manual-clock.ts";

/** Typical ones of a layer. */
export const VECTORS = 150;

/** Normal weights, and the codes that a relu leaves. */
export function layerOf(name: string, rows: number, columns: number, positions = 10): UnitLayer {
  const normal = gaussian(rows * 1000 + columns);
  return {
    name,
    rows,
    columns,
    positions,
    weights: Float32Array.from({ length: rows * columns }, () => 0.1 * normal()),
    typicalInputs: codes(rows, VECTORS, 1),
  };
}

export function codes(rows: number, count: number, seed: number): Uint8Array {
  const normal = gaussian(seed);
  return Uint8Array.from({ length: rows * count }, () => Math.min(255, Math.max(0, 60 * normal())));
}

/** A device in this process behind a session, in time that a test moves on. */
export interface Bench {
  readonly clock: ManualClock;
  readonly device: EmulatedDevice;
  readonly session: Session;
  line(): Transport;
}

export async function bench(profile: AcceleratorProfile, faults: LineFaults = { seed: 0 }, seed = 1): Promise<Bench> {
  const clock = new ManualClock();
  const device = new EmulatedDevice(profile, { seed, bootId: 1 });
  const { connect, line } = lineTo(device, faults);
  const session = new Session(connect, { clock });
  await clock.until(session.reconnect());
  return { clock, device, session, line };
}

/** assert.equal would print thousands of numbers. */
export function same(got: Float32Array, expected: Float32Array): void {
  assert.is(got.length, expected.length);
  const at = got.findIndex((value, i) => value !== expected[i]);
  assert.is(at, -1, `${got[at]} instead of ${expected[at]} at ${at}`);
}
