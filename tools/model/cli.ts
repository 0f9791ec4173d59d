import { writeFile } from "node:fs/promises";
import { type Command, Option } from "commander";
import { criterionNames, formatNames, roundingNames } from "../../runtime/model/stages.ts";
import { byteCount, microjoules, microseconds, operations, positive, wholeNumber } from "../cli/arguments.ts";

/** Adds what looks at a model before it is shipped. */
export function addModel(program: Command): void {
  addEval(program);
  addInspect(program);
  addBench(program);
  addExample(program);
}

function addEval(program: Command): void {
  const command = program
    .command("eval <model>")
    .description("Show what a device's precision costs and what the corrections give back, before anything is shipped.")
    .requiredOption(
      "--inputs <x.npy>",
      "samples [count, ...] in NHWC; the first ones calibrate, the others are measured",
    )
    .option("--labels <y.npy>", "one class index per sample, for accuracies")
    .option("--profile <name>", "device profile: a name from `polaredge profile list` or a file", "raspberry-pi-4")
    .option("--format <name>", `weight format instead of the profile's: ${formatNames.join(", ")}`)
    .option(
      "--block <rows>",
      "weights that share a scale, instead of the profile's; 65536: one scale per channel",
      wholeNumber,
    )
    .addOption(
      new Option(
        "--rounding <name>",
        "weights to codes instead of as the profile says: row by row and then one by one (gptq), by gradient (adaround), nearest",
      ).choices(roundingNames),
    )
    .option("--draws <count>", "draw the calibration samples so often and average", positive, 1)
    .option("--pareto", "also mixes of formats and ranks of other sizes: what each byte buys")
    .option("--compare", "also correct by SVD, LQER, QERA-approx and NPP-style training, at the same rank");
  addBudgets(command);
  addCalibration(command);
  addGates(command);
  addChip(command);
  command
    .option("--chart <file.svg>", "draw accuracy over bits or, with an accelerator, over the time since programming")
    .option("--json", "print the report as JSON")
    .addHelpText("after", evalHelp())
    .action(async (model: string, options) => {
      const { evalCommand } = await import("./eval/command.ts");
      await evalCommand(model, options);
    });
}

/** Within which each layer gets a format of its own, and a rank where low-rank paths count; one of them. */
function addBudgets(command: Command): void {
  command
    .option("--bits-budget <bits>", "choose each layer's format: bits per weight on average, scales included", Number)
    .option("--bytes-budget <bytes>", "choose each layer's format and rank: all that is stored, such as 64k", byteCount)
    .option(
      "--latency-budget <time>",
      "the same by what an inference takes on this machine, such as 2ms or 80us",
      microseconds,
    )
    .option("--energy-budget <energy>", "the same by the profile's model of energy, such as 20uJ", microjoules)
    .option("--bitops-budget <count>", "the same by products of single bits, such as 80M", operations)
    .addOption(
      new Option(
        "--criterion <name>",
        "chooses within a budget: by measured answers (alps) or the codes' entropy (eagl)",
      ).choices(criterionNames),
    );
}

/** From what corrections are fitted, and how far. */
function addCalibration(command: Command): void {
  command
    .option("--rank <count>", "rank of the surrogate paths instead of the profile's", wholeNumber)
    .option("--samples <count>", "calibration samples instead of the profile's", wholeNumber)
    .addOption(
      new Option(
        "--distill [steps]",
        "distil all corrections after the closed form, in so many steps at most; 60 if not said",
      )
        .argParser(wholeNumber)
        .preset("60"),
    )
    .option("--synthetic", "calibrate with inputs made from the statistics of the calibration samples");
}

/** How low bits are left out where they are not needed. */
function addGates(command: Command): void {
  command
    .option(
      "--gate <bits>",
      "Precision Gating, also on tiles: so many of a code's 8 bits are multiplied first",
      positive,
    )
    .option(
      "--gate-budget <nats>",
      "by how much gates may raise the divergence on the calibration samples (0.005)",
      Number,
    );
}

/** On which accelerator it is measured, too. */
function addChip(command: Command): void {
  command
    .option("--accelerator <name>", "also on this emulated accelerator: a profile name or file")
    .option("--age <duration>", "how long after programming the accelerator is measured: 0s, 12h, 30d, 1y", "0s")
    .option("--sigma <share>", "how much the accelerator's cells differ, instead of its profile's: 0.2", Number)
    .option("--seed <number>", "which specimen of the accelerator", wholeNumber, 1)
    .option("--devices <count>", "so many specimens, averaged", positive, 1);
}

function addInspect(program: Command): void {
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
}

function addBench(program: Command): void {
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
    .option("--rounds <count>", "rounds of 100 ms that the engines take in turn", wholeNumber, 10)
    .option("--svg <file>", "write the comparison as a picture")
    .option("--json", "print the report as JSON")
    .addHelpText("after", benchHelp())
    .action(async (model: string | undefined, options) => {
      const { benchCommand } = await import("../bench/command.ts");
      await benchCommand(model, options);
    });
}

function addExample(program: Command): void {
  program
    .command("example <folder>")
    .description("Write a small model and samples of its own into a folder, to try everything with.")
    .option("--json", "print as JSON")
    .addHelpText("after", "\nExample:\n  polaredge example bearing")
    .action(async (folder: string, { json }: { json?: boolean }) => {
      const { example } = await import("../bearing/example.ts");
      console.log(await example(folder, json));
    });
}

function benchHelp(): string {
  return `
JSON: { model, node, cpu, processes, rounds, runs: [{name, minUs, medianUs, p999Us, tail, floor, rssMb, coldMs}], stepNs, ratios }
Times are of one inference of one thread, f32 in and out. coldMs: from the start of a process to its first answer.
tail: p999Us over medianUs; floor: that of a plain loop as long, in turn.
stepNs: of a plan's step with nothing to compute. ratios: to polaredge's first run.

Examples:
  polaredge bench kws.onnx
  polaredge bench --install-peers
  polaredge bench --gemv 640x128
  polaredge bench kws.onnx --peers --peer-model kws.u8.onnx kws.int8.tflite --json`;
}

function evalHelp(): string {
  return `
Shares are 0..1; *Pct fields are per cent; accuracy is null without --labels.
JSON: { model, profile, format, budget, measured, calibrationSamples, float: {accuracy},
  quantized: {accuracy, agreement, divergence, outputError}, corrected: {..}, draws: [corrected of each draw],
  compared: [{name, score, seconds}], seconds of the fit alone, as calibrationParts.fit + distill,
  analog: {quantized: {..}, corrected: {..}, devices: [corrected of each], layers, returned,
    placed: {linkBytes, linkSeconds, seconds}, calibrated: {.., fitSeconds},
    accumulators: {bits, layers: [{layer, segments, wholeSegments, bits}]}, energy: {..} | null,
    recovery: [{step, score: {..}, samples, products, programs, extraMacsPct, linkBytes, linkSeconds,
      seconds}], of an aged one} | null,
  gates: {highBits, safe: {score, layers: [{layer, sparsity, vectorSparsity}], savedPct, savedByVectorsPct},
    budget: {.., share}} | null,
  tileGates: {highBits, whole: {score, linkBytes, linkSeconds, seconds}, safe: {.., layers: [{layer, sparsity,
    skippedPlanes}], savedPlanesPct, savedLinkPct}, budget: {.., share}} with --gate and --accelerator | null,
  curve: {title, x, y, labels, series: [{name, points: [[x, y]]}]} | null,
  layers: [{layer, format, rank, pruned, columns, bits, error}], bitsPerWeight, weightBytes, arenaBytes,
  surrogate: {params, extraParamsPct, extraMacsPct}, calibrationSeconds,
  calibrationParts: {observe, choose, quantize, fit, distill} in seconds, microsecondsPerInference,
  energy: {microjoules, mainMicrojoules, surrogateMicrojoules, bytesMicrojoules, teraOpsPerWatt} of an inference by
    the profile's model, nothing of it measured | null, bitOperations }
agreement: share of answers whose greatest output is the float model's. divergence: mean Kullback-Leibler
divergence of the classes in nats, null where outputs are no probabilities. outputError: relative RMS of all outputs.

Examples:
  polaredge eval kws.onnx --inputs x.npy --labels y.npy --profile raspberry-pi-4
  polaredge eval kws.onnx --inputs x.npy --format nf4 --rank 4 --json
  polaredge eval kws.onnx --inputs x.npy --labels y.npy --bits-budget 4 --draws 5
  polaredge eval kws.onnx --inputs x.npy --labels y.npy --energy-budget 30uJ
  polaredge eval kws.onnx --inputs x.npy --labels y.npy --accelerator sram-bitplane-64x64 --age 30d --seed 3
  polaredge eval kws.onnx --inputs x.npy --accelerator sram-bitplane-64x64 --gate 5`;
}
