import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import colors from "picocolors";
import { ptyUnavailable } from "../../firmware-bridge/transport/pty.ts";
import { encodeNpy } from "../../runtime/tensor/npy.ts";
import { releaseFile } from "../bearing/releases.ts";
import { bearingSamples } from "../bearing/samples.ts";
import { EXIT, explain } from "../cli/exit.ts";
import { type ProgressBar, progressBar } from "../cli/progress.ts";
import { evaluate } from "../model/eval/evaluate.ts";
import { evalText } from "../model/eval/text.ts";
import { ACCELERATOR, SPECIMEN } from "./device.ts";
import { type DemoBackend, Showing } from "./showing.ts";
import { Stage } from "./stage.ts";
import { openWorld, type World } from "./world.ts";

const CALIBRATION = 32;
const MEASURED = 400;

export interface DemoOptions {
  /** Leave the working folder behind. */
  readonly keep?: boolean;
  /** Agent and accelerator in this process; the default where there are no pseudo terminals. */
  readonly inProcess?: boolean;
  /** What computes the accelerator where it is not in this process. Default: typescript. */
  readonly backend?: DemoBackend;
  /** Promises and what was measured as JSON. */
  readonly json?: boolean;
}

/**
 * The whole mission on one machine, for real: an embedded broker, an artifact server, an emulated accelerator behind a
 * serial port, and the agent as its own process. Every figure that is printed was measured in this run.
 * @returns the exit code: 0 only if every step did what it should
 */
export async function demo({
  keep = false,
  inProcess,
  backend = "typescript",
  json,
}: DemoOptions = {}): Promise<number> {
  const stage = new Stage(json);
  const bar = progressBar();
  let world: World | undefined;
  try {
    world = await openWorld({ keep, inProcess: inProcess ?? ptyUnavailable() !== undefined, backend });
    introduce(stage, world);
    await costOfPrecision(stage, world, bar);
    const show = new Showing(stage, world, bar);
    await show.firstInstall();
    await show.yearOfDrift();
    await show.mishaps();
    await show.goodUpdate();
    await show.unfitUpdate();
    await show.wrongUpdate();
    await show.forgedOrder();
    return stage.close() ? EXIT.ok : EXIT.failed;
  } catch (error) {
    bar.end();
    console.error(`\n${explain(error)}`);
    if (world) console.error(colors.dim(`The agent's last words:\n${await world.device.log()}`));
    return EXIT.failed;
  } finally {
    await world?.end();
    if (keep && world) console.error(`kept: ${world.folder}`);
  }
}

function introduce(stage: Stage, world: World): void {
  stage.chapter("A fleet of one, all on this machine");
  stage.fact("broker", `${world.brokerUrl} (embedded)`);
  stage.fact("artifacts", world.artifacts.url);
  stage.fact("accelerator", `${ACCELERATOR} number ${SPECIMEN} (emulated) ${world.device.where}`);
  stage.fact("task", "bearing faults from vibration: 8 classes, data from a physical model");
}

/** Before anything is shipped: what 4 bits and analog tiles cost, and what the corrections give back. */
async function costOfPrecision(stage: Stage, world: World, bar: ProgressBar): Promise<void> {
  stage.chapter("What precision costs, and what surrogate paths give back");
  const samples = bearingSamples(CALIBRATION + MEASURED, 99);
  const inputs = join(world.folder, "x.npy");
  const labels = join(world.folder, "y.npy");
  await writeFile(inputs, encodeNpy(samples.inputs));
  await writeFile(labels, encodeNpy({ shape: [samples.labels.length], data: Float32Array.from(samples.labels) }, "u1"));
  const report = await evaluate(
    releaseFile("1.0.0").pathname,
    {
      inputs,
      labels,
      profile: world.profile,
      accelerator: ACCELERATOR,
      seed: SPECIMEN,
      age: "0s",
      draws: 1,
      devices: 1,
    },
    ({ stage: what, done, of }) => bar.show(what, done, of),
  );
  bar.end();
  stage.say(evalText(report));
  const { quantized, corrected, analog } = report;
  const pct = (share: number): string => `${(100 * share).toFixed(1)} %`;
  stage.check(
    "surrogates at 4 bits",
    "agreement >= 98 %, better than without",
    `${pct(quantized.agreement)} -> ${pct(corrected.agreement)}`,
    corrected.agreement >= 0.98 && corrected.outputError < quantized.outputError,
  );
  if (!analog) return;
  stage.check(
    "surrogates on analog tiles",
    "agreement >= 95 %, better than without",
    `${pct(analog.quantized.agreement)} -> ${pct(analog.corrected.agreement)}`,
    analog.corrected.agreement >= 0.95 && analog.corrected.outputError < analog.quantized.outputError,
  );
}
