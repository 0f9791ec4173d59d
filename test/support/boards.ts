import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import type { AcceleratorProfile } from "../../device-profiles/accelerator.ts";
import { EmulatedDevice } from "../../firmware-bridge/emulator/device.ts";
import { serve } from "../../firmware-bridge/emulator/serve.ts";
import type { Transport } from "../../firmware-bridge/transport/transport.ts";

/** An emulated device with a socket for a line, whatever computes it. */
export interface Board {
  plug(line: Transport): void;
  /** Its supply fails for a moment: it starts anew, with empty tiles. */
  brownOut(): void;
  stop(): Promise<void>;
}

export function typescriptBoard(profile: AcceleratorProfile): Board {
  const device = new EmulatedDevice(profile, { bootId: 1 });
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

/** The C firmware as a process of this machine. */
export function hostBoard(path: string): Board {
  let boots = 0;
  let plugged: Transport | undefined;
  const start = (): ChildProcessWithoutNullStreams => {
    const child = spawn(path, [String(++boots)]);
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
