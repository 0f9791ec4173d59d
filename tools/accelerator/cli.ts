import { type Command, Option } from "commander";
import { wholeNumber } from "../cli/arguments.ts";

const BAUD_RATE = 921_600;

/** Adds what emulates accelerators and looks at their links and firmware. */
export function addAccelerator(program: Command): void {
  addEmulate(program);
  addLink(program);
  addFirmware(program);
}

function addEmulate(program: Command): void {
  program
    .command("emulate")
    .description("An emulated accelerator behind a real serial device path (Linux).")
    .option("--profile <name>", "accelerator profile: a name or a file", "sram-bitplane-64x64")
    .option("--seed <number>", "which specimen", wholeNumber, 1)
    .option("--age <duration>", "time since programming: 0s, 12h, 30d, 1y", "0s")
    .option("--temperature <celsius>", "of the chip", Number)
    .addOption(
      new Option(
        "--backend <name>",
        "what computes it: this process, or the C firmware in QEMU or on an RP2040 (rp2040js)",
      )
        .choices(["typescript", "qemu", "rp2040"])
        .default("typescript"),
    )
    .option("--link <path>", "a symbolic link to the device, the same after each replug")
    .option("--json", "print the path and the answers to commands as lines of JSON")
    .addHelpText(
      "after",
      "\nCommands on standard input: age 30d | temperature 45 | reset | unplug | plug | status | quit\n\nExample:\n  polaredge emulate --profile sram-bitplane-64x64 --seed 7",
    )
    .action(async (options) => {
      const { emulate } = await import("./emulate.ts");
      await emulate(options);
    });
}

function addLink(program: Command): void {
  const link = program.command("link").description("What passes between a host and an accelerator.");
  link
    .command("record <address> <file>")
    .description("Offer another path to the device at an address, and write down what passes (Linux).")
    .option("--baud <rate>", "of a serial port", wholeNumber, BAUD_RATE)
    .option("--json", "print the path as JSON")
    .addHelpText("after", "\nExample:\n  polaredge link record /dev/serial/by-id/usb-... field.jsonl")
    .action(async (address: string, file: string, options: { baud: number; json?: boolean }) => {
      const { recordLink } = await import("./link.ts");
      await recordLink(address, file, options);
    });
  link
    .command("replay <file>")
    .description("A device at a path that answers as the recorded one did (Linux).")
    .option("--json", "print the path as JSON")
    .addHelpText("after", "\nExample:\n  polaredge link replay field.jsonl")
    .action(async (file: string, options: { json?: boolean }) => {
      const { replayLink } = await import("./link.ts");
      await replayLink(file, options);
    });
  link
    .command("stats <file>")
    .description("Count a recording: frames, bytes, damage, repetitions, restarts, round trips by command.")
    .option("--json", "print as JSON")
    .addHelpText("after", "\nExample:\n  polaredge link stats field.jsonl")
    .action(async (file: string, options: { json?: boolean }) => {
      const { linkStats } = await import("./link.ts");
      await linkStats(file, options);
    });
}

function addFirmware(program: Command): void {
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
