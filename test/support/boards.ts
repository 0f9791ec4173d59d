import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import type { AcceleratorProfile } from "../../device-profiles/accelerator.ts";
import { EmulatedDevice } from "../../firmware-bridge/emulator/device.ts";
import type { Flash } from "../../firmware-bridge/emulator/flash.ts";
import { serve } from "../../firmware-bridge/emulator/serve.ts";
import type { Transport } from "../../firmware-bridge/transport/transport.ts";

/** An emulated device with a socket for a line, whatever computes it. */
export interface Board {
  plug(line: Transport): void;
  /** Its supply fails for a moment: it starts anew, with empty tiles. */
  brownOut(): void;
  stop(): Promise<void>;
}

/** A profile that makes the host take a board's cells for known, so that it reads none before it chooses levels. */
export function withKnownCells(profile: AcceleratorProfile): AcceleratorProfile {
  return { ...profile, cells: { model: "ideal" } };
}

export function typescriptBoard(profile: AcceleratorProfile, flash?: Flash): Board {
  const device = new EmulatedDevice(profile, { bootId: 1, ...(flash && { flash }) });
  let plugged: Transport | undefined;
  return {
    plug(line) {
      plugged = line;
      void serve(device, line);
    },
    brownOut: () => plugged?.write(device.restart()),
    stop: async () => {},
  };
}

/** The C firmware as a process of this machine. `flash`: a file with its slots, see firmware/boards/host.c. */
export function hostBoard(path: string, flash?: string): Board {
  let powerOns = 0;
  let plugged: Transport | undefined;
  const start = (): ChildProcessWithoutNullStreams => {
    // Each process counts its own restarts from there.
    const child = spawn(path, [String(++powerOns * 1000), "0", "0", "0", ...(flash === undefined ? [] : [flash])]);
    child.stdin.on("error", () => {});
    child.stdout.on("data", (bytes: Buffer) => plugged?.write(bytes));
    return child;
  };
  let child = start();
  const end = async (): Promise<void> => {
    const gone = new Promise((resolve) => child.once("exit", resolve));
    child.stdout.removeAllListeners("data");
    child.kill("SIGKILL");
    await gone;
  };
  return {
    plug(line) {
      plugged = line;
      line.listen({
        data: (bytes) => void child.stdin.write(bytes),
        closed: () => {
          if (plugged === line) plugged = undefined;
        },
      });
    },
    brownOut() {
      void end();
      child = start();
    },
    stop: end,
  };
}
