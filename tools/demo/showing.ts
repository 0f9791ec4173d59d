import { generateKeyPairSync } from "node:crypto";
import { readFile } from "node:fs/promises";
import { systemClock } from "../../runtime/base/clock.ts";
import type { FleetEvent, Report } from "../../runtime/fleet/topics.ts";
import { encodeNpy } from "../../runtime/tensor/npy.ts";
import { seal } from "../../runtime/trust/envelope.ts";
import type { Backend } from "../accelerator/specimens.ts";
import { releaseFile } from "../bearing/releases.ts";
import { bearingSamples } from "../bearing/samples.ts";
import { miswire, spoil } from "../bearing/spoil.ts";
import type { ProgressBar } from "../cli/progress.ts";
import { bytes } from "../cli/table.ts";
import { Application } from "./application.ts";
import type { Stage } from "./stage.ts";
import type { World } from "./world.ts";

/** Gates of every release: agreement with its own float answers, and with the answers of the model that it replaces. */
const ACCEPT = { minAgreementPct: 90 };
const TRIAL = { passes: 2, seconds: 1, minInferences: 0, minContinuityPct: 75 };
const YEAR = 31_557_600;
/** Of a program on the device; how long it has asked when something happens; how soon that is over. */
const QUESTIONS = 16;
const INTO_BATCH_MS = 300;
const RECOVERY_MS = 3000;

/** Samples that calibrate, and that are asked to see drift. */
const CALIBRATION = 32;
const PROBES = 64;

export type DemoBackend = Exclude<Backend, "rp2040">;

/** The device's life, as its operator sees it. */
export class Showing {
  readonly #stage: Stage;
  readonly #world: World;
  readonly #bar: ProgressBar;
  readonly #calibration: Uint8Array;
  readonly #probes: Uint8Array;

  constructor(stage: Stage, world: World, bar: ProgressBar) {
    this.#calibration = encodeNpy(bearingSamples(CALIBRATION, 5).inputs);
    this.#probes = encodeNpy(bearingSamples(PROBES, 6).inputs);
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
    await device.age(YEAR);
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

  /** Only where there is a cable. */
  async mishaps(): Promise<void> {
    const { device, socket } = this.#world;
    if (!device.mishaps) return;
    this.#stage.chapter("The cable is pulled, and the supply fails, while a program on the device asks all the time");
    const application = await Application.open(socket, "bearing", bearingSamples(QUESTIONS, 7).inputs);
    const { plug, unplug, reset } = device.mishaps;
    await this.#mishap(application, "cable pulled", async (seen) => {
      await unplug();
      await this.#event("link/lost", seen);
      await plug();
    });
    await this.#mishap(application, "firmware reset", async () => reset());
  }

  async #mishap(application: Application, name: string, happen: (seen: number) => Promise<void>): Promise<void> {
    const known = await application.classes();
    let recoveryMs = 0;
    const asked = await application.during(
      known,
      (async () => {
        await systemClock.sleep(INTO_BATCH_MS);
        const seen = this.#world.operator.events.length;
        await happen(seen);
        const began = performance.now();
        await this.#event("link/restored", seen);
        recoveryMs = performance.now() - began;
      })(),
    );
    const { answered, refused, samePct } = asked;
    this.#stage.check(
      name,
      `every question is answered, the link is back within ${RECOVERY_MS / 1000} s`,
      `${answered} answered, ${refused} refused, ${samePct.toFixed(1)} % as before; back after ${recoveryMs.toFixed(0)} ms`,
      refused === 0 && samePct >= 90 && recoveryMs < RECOVERY_MS,
    );
  }

  /** Resolves when the device tells of it, after `seen` other events. */
  #event(code: string, seen: number): Promise<FleetEvent> {
    const { operator } = this.#world;
    return operator.until(code, 20, () => operator.events.slice(seen).find((event) => event.code === code));
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
