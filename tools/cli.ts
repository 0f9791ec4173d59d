#!/usr/bin/env node
import { readFileSync, realpathSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Command, CommanderError, Option } from "commander";
import { asset } from "../runtime/base/assets.ts";
import { addAccelerator } from "./accelerator/cli.ts";
import { addExamples } from "./cli/examples.ts";
import { EXIT, exitCodeOf, explain } from "./cli/exit.ts";
import { addDevice } from "./device/cli.ts";
import { addFleet } from "./fleet/cli.ts";
import { addModel } from "./model/cli.ts";

/** Each command loads its own code when it runs, so that `polaredge run` stays small. */
export const program: Command = new Command("polaredge")
  .description(
    "Quantizes float models on the device, repairs them with low-rank surrogates, drives analog accelerators.",
  )
  .version(JSON.parse(readFileSync(asset("package.json"), "utf8")).version)
  .showHelpAfterError("(see polaredge --help)")
  .addHelpText(
    "after",
    `
Exit codes: ${EXIT.ok} done, ${EXIT.failed} failed (network, device, a gate not passed), ${EXIT.badInput} bad input or usage; polaredge exit-codes has them all.

Examples:
  polaredge demo
  polaredge eval model.onnx --inputs x.npy --labels y.npy --profile raspberry-pi-4
  polaredge inspect model.tflite
  polaredge run --config /etc/polaredge.json`,
  )
  .exitOverride()
  // What comes after a command is its own: `fleet release --version 1.4.0`.
  .enablePositionalOptions();

addDevice(program);
addModel(program);
addAccelerator(program);

program
  .command("demo")
  .description("All of it on this machine in about a minute: broker, accelerator, agent, drift, updates.")
  .option("--keep", "keep the working folder")
  .option("--in-process", "agent and accelerator in this process (the default where there are no pseudo terminals)")
  .addOption(new Option("--backend <name>", "what computes the accelerator").choices(["typescript", "qemu"]))
  .option("--json", "print the promises and what was measured as JSON; the story goes to standard error")
  .action(async (options) => {
    const { demo } = await import("./demo/demo.ts");
    process.exitCode = await demo(options);
  });

program
  .command("completion <shell>")
  .description("Print a script that completes commands and options, for bash, zsh or fish.")
  .addHelpText("after", "\nExample:\n  polaredge completion bash > /usr/share/bash-completion/completions/polaredge")
  .action(async (shell: string) => {
    const { completion } = await import("./cli/completion.ts");
    process.stdout.write(completion(shell, program));
  });

program
  .command("exit-codes")
  .description("What this program answers to the shell, every failure by name, and what to do about it.")
  .option("--json", "print as JSON")
  .action(async ({ json = false }: { json?: boolean }) => {
    const { exitCodes } = await import("./cli/exit-codes.ts");
    console.log(exitCodes(json));
  });

addFleet(program);
addExamples(program);

async function main(): Promise<void> {
  // Whoever reads may stop reading: `polaredge ... | head`.
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit(EXIT.ok);
    throw error;
  });
  try {
    await program.parseAsync();
  } catch (error) {
    if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? EXIT.ok : EXIT.badInput;
    else {
      console.error(explain(error));
      process.exitCode = exitCodeOf(error);
    }
  }
}

// Whoever imports it, only wants to know what commands there are.
if (realpathSync(process.argv[1] ?? "") === fileURLToPath(import.meta.url)) await main();
