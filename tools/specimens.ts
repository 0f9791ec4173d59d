import type { AcceleratorProfile } from "../device-profiles/accelerator.ts";
import { EmulatedDevice } from "../firmware-bridge/emulator/device.ts";
import { QemuDevice } from "../firmware-bridge/emulator/qemu.ts";
import { serve } from "../firmware-bridge/emulator/serve.ts";
import type { Transport } from "../firmware-bridge/transport/transport.ts";
import { Failure } from "../runtime/base/failure.ts";
import { boardOf, buildFirmware, missingPrograms } from "./firmware.ts";

/** What computes the emulated device: this process, or the C firmware on an emulated microcontroller. */
export const backends = ["typescript", "qemu"] as const;
export type Backend = (typeof backends)[number];

/** A device without its cable. */
export interface Specimen {
  /** Plugs it in. Resolves with the reason when the line has ended. */
  serve(line: Transport): Promise<string>;
  /** As a brown-out: the tiles are lost. */
  reset(): void;
  /** @throws Failure `input/malformed` where only the protocol's environment command can do it */
  age(seconds: number): string;
  heat(temperatureC: number): string;
  status(): string;
  stop(): Promise<void>;
}

export interface SpecimenStart {
  readonly seed: number;
  /** That a tile has as soon as it is programmed. */
  readonly ageSeconds: number;
  readonly temperatureC?: number | undefined;
}

/** @throws Failure `bridge/open`, `input/missing` (a compiler or QEMU), `profile/unknown` (not in C) */
export async function startSpecimen(
  backend: Backend,
  profile: AcceleratorProfile,
  start: SpecimenStart,
): Promise<Specimen> {
  return backend === "qemu" ? inQemu(profile, start) : inProcess(profile, start);
}

function inProcess(profile: AcceleratorProfile, { temperatureC, ...start }: SpecimenStart): Specimen {
  const device = new EmulatedDevice(profile, {
    ...start,
    ...(temperatureC === undefined ? {} : { temperatureC }),
    uptimeMs: () => performance.now(),
  });
  let plugged: Transport | undefined;
  return {
    serve: (line) => {
      plugged = line;
      return serve(device, line);
    },
    reset: () => plugged?.write(device.restart()),
    age: (seconds) => {
      device.chip.age(seconds);
      return `tiles are ${device.chip.environment.ageSeconds} s old`;
    },
    heat: (temperatureC) => {
      device.chip.heat(temperatureC);
      return `${device.chip.environment.temperatureMc / 1000} C`;
    },
    status: () => counters(device),
    stop: async () => {},
  };
}

async function inQemu(profile: AcceleratorProfile, start: SpecimenStart): Promise<Specimen> {
  const missing = missingPrograms("qemu-system-arm");
  if (missing) throw new Failure("input/missing", `no QEMU: ${missing}`);
  const board = boardOf(profile);
  const reference = profile.temperature.referenceC;
  const warmerC = (start.temperatureC ?? reference) - reference;
  const device = await QemuDevice.start({ ...start, board, firmware: buildFirmware(`${board}.elf`), warmerC });
  const refuse = (): never => {
    throw new Failure("input/malformed", "in QEMU only at the start, or by the protocol's environment command");
  };
  return {
    serve: (line) => device.serve(line),
    reset: () => device.reset(),
    age: refuse,
    heat: refuse,
    status: () => `${board} in QEMU`,
    stop: () => device.stop(),
  };
}

function counters(device: EmulatedDevice): string {
  const { tilesCommitted, products, saturated, temperatureMc, ageSeconds } = device.chip.status();
  const { frames, discarded } = device.counters;
  return [
    `${frames} frames, ${discarded} discarded`,
    `${tilesCommitted} tiles, ${ageSeconds} s old, ${temperatureMc / 1000} C`,
    `${products} products, ${saturated} conversions saturated`,
  ].join("; ");
}
