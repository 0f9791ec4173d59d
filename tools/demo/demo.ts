import { generateKeyPairSync } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import colors from "picocolors";
import { ptyUnavailable } from "../../firmware-bridge/transport/pty.ts";
import type { Report } from "../../runtime/fleet/topics.ts";
import { encodeNpy } from "../../runtime/tensor/npy.ts";
import { seal } from "../../runtime/trust/envelope.ts";
import { releaseFile } from "../bearing/releases.ts";
import { bearingSamples } from "../bearing/samples.ts";
import { miswire, spoil } from "../bearing/spoil.ts";
import { evaluate } from "../eval.ts";
import { evalText } from "../eval-command.ts";
import { EXIT, explain } from "../exit.ts";
import { type ProgressBar, progressBar } from "../progress.ts";
import { bytes } from "../table.ts";
import { ACCELERATOR, SPECIMEN } from "./device.ts";
import { Stage } from "./stage.ts";
import { openWorld, type World } from "./world.ts";

const CALIBRATION = 32;
const PROBES = 64;
const MEASURED = 400;
/** Gates of every release: agreement with its own float answers, and with the answers of the model that it replaces. */
const ACCEPT = { minAgreementPct: 90 };
const TRIAL = { passes: 2, seconds: 1, minInferences: 0, minContinuityPct: 75 };
const YEAR = 31_557_600;

export interface DemoOptions {
  /** Leave the working folder behind. */
  readonly keep?: boolean;
  /** Agent and accelerator in this process; the default where there are no pseudo terminals. */
  readonly inProcess?: boolean;
}

/**
 * The whole mission on one machine, for real: an embedded broker, an artifact server, an emulated accelerator behind a
 * serial port, and the agent as its own process. Every figure that is printed was measured in this run.
 * @returns the exit code: 0 only if every step did what it should
 */
export async function demo({ keep = false, inProcess }: DemoOptions = {}): Promise<number> {
  const stage = new Stage();
  const bar = progressBar();
  let world: World | undefined;
  try {
    world = await openWorld({ keep, inProcess: inProcess ?? ptyUnavailable() !== undefined });
    introduce(stage, world);
    await costOfPrecision(stage, world, bar);
    const show = new Showing(stage, world, bar);
    await show.firstInstall();
    await show.yearOfDrift();
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
    if (keep && world) console.log(`kept: ${world.folder}`);
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

/** The device's life, as its operator sees it. */
class Showing {
  readonly #stage: Stage;
  readonly #world: World;
  readonly #bar: ProgressBar;
  readonly #calibration = encodeNpy(bearingSamples(CALIBRATION, 5).inputs);
  readonly #probes = encodeNpy(bearingSamples(PROBES, 6).inputs);

  constructor(stage: Stage, world: World, bar: ProgressBar) {
    this.#stage = stage;
    this.#world = world;
    this.#bar = bar;
  }

  async firstInstall(): Promise<void> {
    this.#stage.chapter("The device downloads the float model and prepares it itself");
    const { operator } = this.#world;
    await operator.until("the device", 20, () => (operator.online === "online" ? true : undefined));
    const report = await this.#install("1.0.0", await readFile(releaseFile("1.0.0")));
    const agreement = await this.#agreement();
    this.#stage.check(
      "first install",
      "1.0.0 serves on the accelerator, agreement >= 90 %",
      `${report.state}, ${report.active?.version} on ${report.active?.unit}, ${agreement.toFixed(1)} %`,
      report.state === "COMMITTED" && report.active?.unit === "accelerator" && agreement >= 90,
    );
  }

  async yearOfDrift(): Promise<void> {
    this.#stage.chapter("A year of drift in a second, and the device recalibrates itself in the field");
    const { operator, device } = this.#world;
    const before = await this.#agreement();
    const events = operator.events.length;
    device.age(YEAR);
    const low = await operator.until("the drift to show", 20, () => {
      const agreement = operator.health?.agreement_pct ?? 100;
      return agreement < 90 ? agreement : undefined;
    });
    this.#stage.check(
      "drift is seen",
      "agreement falls below 90 %",
      `${before.toFixed(1)} % -> ${low.toFixed(1)} %`,
      true,
    );
    const started = performance.now();
    await operator.until("the recalibration", 60, () =>
      operator.events.slice(events).find(({ code }) => code === "job/committed"),
    );
    const after = await this.#agreement();
    const seconds = (performance.now() - started) / 1000;
    this.#stage.check(
      "field recalibration",
      "by itself, agreement back to >= 90 %",
      `${low.toFixed(1)} % -> ${after.toFixed(1)} % in ${seconds.toFixed(1)} s`,
      after >= 90,
    );
  }

  async goodUpdate(): Promise<void> {
    this.#stage.chapter("A good update");
    const report = await this.#install("1.1.0", await readFile(releaseFile("1.1.0")));
    const agreement = await this.#agreement();
    this.#stage.check(
      "good update",
      "1.1.0 committed, 1.0.0 kept",
      `${report.state}, ${report.active?.version} serves at ${agreement.toFixed(1)} %, ${report.previous?.version} kept`,
      report.state === "COMMITTED" && report.active?.version === "1.1.0" && report.previous?.version === "1.0.0",
    );
  }

  async unfitUpdate(): Promise<void> {
    this.#stage.chapter("A bad update: right in float, but it does not survive four bits");
    const report = await this.#install("1.2.0", spoil(await readFile(releaseFile("1.1.0")), 3));
    this.#stage.say(`the device: ${report.message}`);
    this.#stage.check(
      "unfit update",
      "refused by the self-test, 1.1.0 serves on",
      `${report.state} at ${report.step}, ${report.active?.version} serves`,
      report.state === "FAILED" && report.step === "SELFTEST" && report.active?.version === "1.1.0",
    );
  }

  async wrongUpdate(): Promise<void> {
    this.#stage.chapter("A bad update that every self-test passes: its answers are wrong");
    const report = await this.#install("1.3.0", miswire(await readFile(releaseFile("1.1.0"))));
    this.#stage.say(`the device: ${report.message}`);
    const agreement = await this.#agreement();
    this.#stage.check(
      "wrong update",
      "rolled back on trial, 1.1.0 serves again",
      `${report.state}, ${report.active?.version} serves at ${agreement.toFixed(1)} %`,
      report.state === "ROLLED_BACK" && report.active?.version === "1.1.0" && agreement >= 90,
    );
  }

  async forgedOrder(): Promise<void> {
    this.#stage.chapter("Somebody has broken into the broker and orders the device about");
    const { operator, repository } = this.#world;
    const release = repository.releases.find(({ target }) => target.includes("1.3.0"));
    const { privateKey } = generateKeyPairSync("ed25519");
    const forge = (job: unknown): Uint8Array => seal(Buffer.from(JSON.stringify(job)), [privateKey]);
    await operator.order({ jobId: "forged", action: "install", release }, forge);
    const refused = await operator.until("the device's word", 20, () => operator.report?.refused);
    this.#stage.say(`the device: ${refused.message}`);
    this.#stage.check(
      "forged order",
      "refused: the fleet did not sign it",
      `${refused.code}, ${operator.report?.active?.version} serves`,
      refused.code === "trust/unsigned" && operator.report?.active?.version === "1.1.0",
    );
  }

  /** Signs a release, orders it and follows it to its end. */
  async #install(version: string, onnx: Uint8Array): Promise<Report> {
    const { operator, repository } = this.#world;
    const release = await repository.release(
      {
        name: "bearing",
        version,
        rollbackIndex: 0,
        requires: {},
        accept: ACCEPT,
        trial: TRIAL,
        files: { model: onnx, calibration: this.#calibration, probes: this.#probes },
      },
      Date.now(),
    );
    const size = bytes(onnx.length);
    this.#stage.fact("release", `bearing ${version}, float ONNX, ${size}, signed (TUF, ${release.sha256.slice(0, 8)})`);
    const job = { jobId: `bearing-${version}`, action: "install", release };
    const seq = await operator.order(job, (assignment) => repository.sign(assignment));
    const report = await operator.until(`the end of the job bearing ${version}`, 90, () => {
      const { report } = operator;
      if (report?.seq !== seq) return undefined;
      const { progress } = report;
      this.#bar.show(progress?.stage ?? report.state.toLowerCase(), progress?.done ?? 0, progress?.of ?? 1);
      return report.status === "IN_PROGRESS" ? undefined : report;
    });
    this.#bar.end();
    return report;
  }

  /** As the device reports it the next time that it has asked its probes. */
  async #agreement(): Promise<number> {
    const { operator } = this.#world;
    const since = Date.now();
    return operator.until("the device's health", 60, () => {
      const { health } = operator;
      const fresh = health && health.ts > since && health.update_state === "IDLE";
      return fresh ? (health.agreement_pct ?? undefined) : undefined;
    });
  }
}
