import type { Command } from "commander";
import { wholeNumber } from "./arguments.ts";

const BAUD_RATE = 921_600;

/** Adds `polaredge firmware ...`. */
export function addFirmware(program: Command): void {
  const firmware = program.command("firmware").description("An accelerator's own firmware, over its serial link.");
  firmware
    .command("state <address>")
    .description("The images that it has: which one runs, is confirmed, or will be tried.")
    .option("--baud <rate>", "of a serial port", wholeNumber, BAUD_RATE)
    .option("--json", "print as JSON")
    .action(async (address: string, options) => {
      const { firmwareState } = await import("./firmware-command.ts");
      await firmwareState(address, options);
    });
  firmware
    .command("update <address> <image>")
    .description("Send an image (MCUboot's format), try it, keep it if it greets and tests itself as well as before.")
    .option("--baud <rate>", "of a serial port", wholeNumber, BAUD_RATE)
    .option("--json", "print as JSON")
    .action(async (address: string, image: string, options) => {
      const { firmwareUpdate } = await import("./firmware-command.ts");
      await firmwareUpdate(address, image, options);
    });
}
