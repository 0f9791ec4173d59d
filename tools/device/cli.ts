import type { Command } from "commander";
import { EXIT } from "../cli/exit.ts";

/** Adds what a device is set up, run and checked with. */
export function addDevice(program: Command): void {
  addRun(program);
  addInit(program);
  addDoctor(program);
  addProfile(program);
}

function addRun(program: Command): void {
  program
    .command("run")
    .description("Serve a model on this device: download, quantize, calibrate, watch, recalibrate, update.")
    .requiredOption("--config <file>", "configuration of this device (JSON)")
    .addHelpText("after", "\nExample:\n  polaredge run --config /etc/polaredge.json")
    .action(async ({ config }: { config: string }) => {
      const { run } = await import("./run.ts");
      process.exitCode = await run({ config });
    });
}

function addInit(program: Command): void {
  program
    .command("init")
    .description("Write this device's configuration; checks its profiles and port, asks only on a terminal.")
    .option("--config <file>", "where to", "/etc/polaredge.json")
    .option("--id <name>", "of the device in the fleet (default: the host's)")
    .option("--profile <name>", "device profile (default: the board's)")
    .option("--broker <url>", "mqtts://... of the fleet")
    .option("--repository <url>", "of signed releases")
    .option("--root <file>", "the operator's root.json (default: /etc/polaredge/root.json)")
    .option("--accelerator <port>", "/dev/serial/by-id/...")
    .option("--accelerator-profile <name>", "what is attached there")
    .option("--force", "replace what is there")
    .option("--json", "ask nothing, print what was written")
    .addHelpText("after", "\nExample:\n  polaredge init --id press-17 --broker mqtts://broker.example:8883")
    .action(async (options) => {
      const { initCommand } = await import("./init.ts");
      await initCommand(options);
    });
}

function addDoctor(program: Command): void {
  program
    .command("doctor")
    .description("Check what a device needs: clock, disk, temperature, accelerator, trust, broker and its ACL.")
    .requiredOption("--config <file>", "configuration of this device (JSON)")
    .option("--json", "print as JSON")
    .addHelpText("after", "\nExample:\n  polaredge doctor --config /etc/polaredge.json")
    .action(async (options: { config: string; json?: boolean }) => {
      const { doctor } = await import("./doctor.ts");
      if (!(await doctor(options))) process.exitCode = EXIT.failed;
    });
}

function addProfile(program: Command): void {
  const profile = program.command("profile").description("Device and accelerator profiles.");
  profile
    .command("list")
    .description("The profiles that come with polaredge.")
    .option("--json", "print as JSON")
    .action(async (options: { json?: boolean }) => {
      const { listProfiles } = await import("./profile.ts");
      process.exitCode = await listProfiles(options);
    });
  profile
    .command("check <file>")
    .description("Check a profile and say what is wrong with it.")
    .option("--json", "print as JSON")
    .addHelpText("after", "\nExample:\n  polaredge profile check my-board.json")
    .action(async (file: string, options: { json?: boolean }) => {
      const { checkProfile } = await import("./profile.ts");
      process.exitCode = await checkProfile(file, options);
    });
}
