import { readFile } from "node:fs/promises";
import type { AcceleratorProfile } from "../../device-profiles/accelerator.ts";
import { EmulatedDevice } from "../../firmware-bridge/emulator/device.ts";
import { emulatedFlash } from "../../firmware-bridge/emulator/flash.ts";
import { QemuDevice } from "../../firmware-bridge/emulator/qemu.ts";
import { Rp2040Device } from "../../firmware-bridge/emulator/rp2040.ts";
import { serve } from "../../firmware-bridge/emulator/serve.ts";
import type { Straps } from "../../firmware-bridge/emulator/straps.ts";
import type { Transport } from "../../firmware-bridge/transport/transport.ts";
import { Failure } from "../../runtime/base/failure.ts";
import { boardOf, buildFirmware, buildFor, missingPrograms } from "./firmware.ts";

/** What computes the emulated device: this process, or the C firmware on an emulated microcontroller. */
export const backends = ["typescript", "qemu", "rp2040"] as const;
export type Backend = (typeof backends)[number];

const RP2040_PROFILE = "sram-bitplane-128x64";

/** A device without its cable. */
export interface Specimen {
  /** Plugs it in. Resolves with the reason when the line has ended. */
  serve(line: Transport): Promise<string>;
  /** As a brown-out: the tiles are lost. */
  reset(): void;
  /** So old are the programmed tiles from now on. Resolves with what to say. */
  age(seconds: number): Promise<string>;
  heat(temperatureC: number): Promise<string>;
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
  if (backend === "typescript") return inProcess(profile, start);
  return backend === "qemu" ? inQemu(profile, start) : onRp2040(profile, start);
}

function inProcess(profile: AcceleratorProfile, { temperatureC, ...start }: SpecimenStart): Specimen {
  const device = new EmulatedDevice(profile, {
    ...start,
    ...(temperatureC === undefined ? {} : { temperatureC }),
    flash: emulatedFlash(),
    uptimeMs: () => performance.now(),
  });
  let plugged: Transport | undefined;
  return {
    serve: (line) => {
      plugged = line;
      return serve(device, line);
    },
    reset: () => plugged?.write(device.restart()),
    age: async (seconds) => {
      device.chip.age(seconds);
      return `tiles are ${device.chip.environment.ageSeconds} s old`;
    },
    heat: async (temperatureC) => {
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
  const device = await QemuDevice.start({ ...board, firmware: buildFor(board), ...strapsOf(profile, start) });
  return microcontroller(`${board.board} in QEMU`, device);
}

async function onRp2040(profile: AcceleratorProfile, start: SpecimenStart): Promise<Specimen> {
  if (profile.name !== RP2040_PROFILE) {
    throw new Failure("profile/unknown", `the RP2040 image models ${RP2040_PROFILE}, not ${profile.name}`);
  }
  const image = await readFile(buildFirmware("rp2040.bin"));
  return microcontroller("RP2040 in this process", await Rp2040Device.start(image, strapsOf(profile, start)));
}

function strapsOf(profile: AcceleratorProfile, { seed, ageSeconds, temperatureC }: SpecimenStart): Straps {
  const reference = profile.temperature.referenceC;
  return { seed, ageSeconds, warmerC: (temperatureC ?? reference) - reference };
}

/** What can be done to a microcontroller from outside. */
function microcontroller(name: string, device: QemuDevice | Rp2040Device): Specimen {
  return {
    serve: (line) => device.serve(line),
    reset: () => device.reset(),
    age: (ageSeconds) => device.expose({ ageSeconds }).then(() => `tiles are ${ageSeconds} s old`),
    heat: (temperatureC) => device.expose({ temperatureC }).then(() => `${temperatureC} C`),
    status: () => name,
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
