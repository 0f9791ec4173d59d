#!/usr/bin/env node
import { readFileSync, realpathSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { Command, CommanderError, InvalidArgumentError, Option } from "commander";
import { asset } from "../runtime/base/assets.ts";
import { criterionNames, formatNames } from "../runtime/model/stages.ts";
import { microseconds, wholeNumber } from "./arguments.ts";
import { addExamples } from "./examples.ts";
import { EXIT, exitCodeOf, explain } from "./exit.ts";
import { addFirmware } from "./firmware-cli.ts";
import { addFleet } from "./fleet/cli.ts";

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

program
  .command("run")
  .description("Serve a model on this device: download, quantize, calibrate, watch, recalibrate, update.")
  .requiredOption("--config <file>", "configuration of this device (JSON)")
  .addHelpText("after", "\nExample:\n  polaredge run --config /etc/polaredge.json")
  .action(async ({ config }: { config: string }) => {
    const { run } = await import("./run.ts");
    process.exitCode = await run({ config });
  });

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

program
  .command("eval <model>")
  .description("Show what a device's precision costs and what the corrections give back, before anything is shipped.")
  .requiredOption("--inputs <x.npy>", "samples [count, ...] in NHWC; the first ones calibrate, the others are measured")
  .option("--labels <y.npy>", "one class index per sample, for accuracies")
  .option("--profile <name>", "device profile: a name from `polaredge profile list` or a file", "raspberry-pi-4")
  .option("--format <name>", `weight format instead of the profile's: ${formatNames.join(", ")}`)
  .option(
    "--block <rows>",
    "weights that share a scale, instead of the profile's; 65536: one scale per channel",
    wholeNumber,
  )
  .option("--bits-budget <bits>", "choose each layer's format: bits per weight on average, scales included", Number)
  .option("--bytes-budget <bytes>", "choose each layer's format and rank: all that is stored, such as 64k", byteCount)
  .option(
    "--latency-budget <time>",
    "the same by what an inference takes on this machine, such as 2ms or 80us",
    microseconds,
  )
  .addOption(
    new Option(
      "--criterion <name>",
      "chooses within a budget: by measured answers (alps) or the codes' entropy (eagl)",
    ).choices(criterionNames),
  )
  .option("--rank <count>", "rank of the surrogate paths instead of the profile's", wholeNumber)
  .option("--samples <count>", "calibration samples instead of the profile's", wholeNumber)
  .option("--synthetic", "calibrate with inputs made from the statistics of the calibration samples")
  .option("--draws <count>", "draw the calibration samples so often and average", positive, 1)
  .option("--pareto", "also mixes of formats and ranks of other sizes: what each byte buys")
  .option("--compare", "also correct by SVD, LQER, QERA-approx and NPP-style training, at the same rank")
  .option("--accelerator <name>", "also on this emulated accelerator: a profile name or file")
  .option("--age <duration>", "how long after programming the accelerator is measured: 0s, 12h, 30d, 1y", "0s")
  .option("--sigma <share>", "how much the accelerator's cells differ, instead of its profile's: 0.2", Number)
  .option("--seed <number>", "which specimen of the accelerator", wholeNumber, 1)
  .option("--devices <count>", "so many specimens, averaged", positive, 1)
  .option("--gate <bits>", "Precision Gating: so many of the 8 bits of a code are multiplied first", positive)
  .option(
    "--gate-budget <nats>",
    "by how much gates may raise the divergence on the calibration samples (0.005)",
    Number,
  )
  .option("--chart <file.svg>", "draw accuracy over bits or, with an accelerator, over the time since programming")
  .option("--json", "print the report as JSON")
  .addHelpText("after", evalHelp())
  .action(async (model: string, options) => {
    const { evalCommand } = await import("./eval-command.ts");
    await evalCommand(model, options);
  });

program
  .command("inspect <model>")
  .description(
    "Draw a model's graph: operator, shape, parameters, MACs, if prepared (.polar) bits, rank, error; and its memory.",
  )
  .option("--json", "print the report as JSON")
  .option("--svg <file>", "also draw the graph into this file")
  .addHelpText(
    "after",
    "\nExamples:\n  polaredge inspect model.onnx --svg model.svg\n  polaredge inspect prepared.polar --json",
  )
  .action(async (model: string, { json, svg }: { json?: boolean; svg?: string }) => {
    const { inspect, inspectText } = await import("./inspect.ts");
    const report = await inspect(model);
    if (svg) await writeFile(svg, (await import("./graph-svg.ts")).graphSvg(report));
    console.log(json ? JSON.stringify(report, undefined, 2) : inspectText(report));
  });

program
  .command("bench [model]")
  .description("Time a model: quantized by polaredge, and as other runtimes run it.")
  .option("--format <name>", "only this weight format instead of int8 and nf4")
  .option("--rank <count>", "rank of the surrogate paths (int8: 0, nf4: the profile's)", wholeNumber)
  .option("--inputs <x.npy>", "samples to calibrate with, instead of noise")
  .option("--profile <name>", "device profile: a name from `polaredge profile list` or a file", "raspberry-pi-4")
  .option("--peers", "also tfjs, onnxruntime (node, web) or LiteRT.js, by the model's format")
  .option("--peer-model <files...>", "the model as quantized for the peers: .onnx (QDQ), .tflite (int8)")
  .option(
    "--gemv <size>",
    "instead of a model one layer, as 640x128, of 4-bit weights against onnxruntime's 4-bit kernels",
  )
  .option("--install-peers", "install the peers (474 MB) into .peers first; nothing else needs them")
  .option("--processes <count>", "fresh processes per engine", wholeNumber, 3)
  .option("--rounds <count>", "rounds of 50 ms that the engines take in turn", wholeNumber, 10)
  .option("--svg <file>", "write the comparison as a picture")
  .option("--json", "print the report as JSON")
  .addHelpText("after", benchHelp())
  .action(async (model: string | undefined, options) => {
    const { benchCommand } = await import("./bench/command.ts");
    await benchCommand(model, options);
  });

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

const link = program.command("link").description("What passes between a host and an accelerator.");
link
  .command("record <address> <file>")
  .description("Offer another path to the device at an address, and write down what passes (Linux).")
  .option("--baud <rate>", "of a serial port", wholeNumber, 921_600)
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

program
  .command("example <folder>")
  .description("Write a small model and samples of its own into a folder, to try everything with.")
  .option("--json", "print as JSON")
  .addHelpText("after", "\nExample:\n  polaredge example bearing")
  .action(async (folder: string, { json }: { json?: boolean }) => {
    const { example } = await import("./bearing/example.ts");
    console.log(await example(folder, json));
  });

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
    const { completion } = await import("./completion.ts");
    process.stdout.write(completion(shell, program));
  });

program
  .command("exit-codes")
  .description("What this program answers to the shell, every failure by name, and what to do about it.")
  .option("--json", "print as JSON")
  .action(async ({ json = false }: { json?: boolean }) => {
    const { exitCodes } = await import("./exit-codes.ts");
    console.log(exitCodes(json));
  });

addFirmware(program);
addFleet(program);
addExamples(program);

function benchHelp(): string {
  return `
JSON: { model, node, cpu, processes, rounds, runs: [{name, minUs, medianUs, p999Us, tail, rssMb, coldMs}], stepNs, ratios }
Times are of one inference of one thread, f32 in and out. coldMs: from the start of a process to its first answer.
tail: p999Us over medianUs. stepNs: of a plan's step with nothing to compute. ratios: to polaredge's first run.

Examples:
  polaredge bench kws.onnx
  polaredge bench --install-peers
  polaredge bench --gemv 640x128
  polaredge bench kws.onnx --peers --peer-model kws.u8.onnx kws.int8.tflite --json`;
}

function byteCount(text: string): number {
  const [, digits = "", unit = ""] = /^(\d+)([kM]?)$/.exec(text) ?? [];
  if (digits === "") throw new InvalidArgumentError("bytes are expected, such as 65536, 64k or 1M");
  return Number(digits) * { "": 1, k: 1024, M: 1024 ** 2 }[unit as "" | "k" | "M"];
}

function positive(text: string): number {
  const value = wholeNumber(text);
  if (value === 0) throw new InvalidArgumentError("at least 1 is expected");
  return value;
}

function evalHelp(): string {
  return `
Shares are 0..1; *Pct fields are per cent; accuracy is null without --labels.
JSON: { model, profile, format, budget, measured, calibrationSamples, float: {accuracy},
  quantized: {accuracy, agreement, divergence, outputError}, corrected: {..}, draws: [corrected of each draw],
  compared: [{name, score, seconds}],
  analog: {quantized: {..}, corrected: {..}, devices: [corrected of each], layers, returned,
    placed: {linkBytes, linkSeconds, seconds}, calibrated: {..},
    recovery: [{step, score: {..}, samples, products, programs, linkBytes, linkSeconds, seconds}], of an aged one} | null,
  gates: {highBits, safe: {score, layers: [{layer, sparsity, vectorSparsity}], savedPct, savedByVectorsPct},
    budget: {.., share}} | null,
  curve: {title, x, y, labels, series: [{name, points: [[x, y]]}]} | null,
  layers: [{layer, format, rank, bits, error}], bitsPerWeight, weightBytes, arenaBytes,
  surrogate: {params, extraParamsPct, extraMacsPct}, calibrationSeconds, microsecondsPerInference }
agreement: share of answers whose greatest output is the float model's. divergence: mean Kullback-Leibler
divergence of the classes in nats, null where outputs are no probabilities. outputError: relative RMS of all outputs.

Examples:
  polaredge eval kws.onnx --inputs x.npy --labels y.npy --profile raspberry-pi-4
  polaredge eval kws.onnx --inputs x.npy --format nf4 --rank 4 --json
  polaredge eval kws.onnx --inputs x.npy --labels y.npy --bits-budget 4 --draws 5
  polaredge eval kws.onnx --inputs x.npy --labels y.npy --accelerator sram-bitplane-64x64 --age 30d --seed 3`;
}

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
