import { readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { AcceleratorProfile } from "../../device-profiles/accelerator.ts";
import { loadAcceleratorProfile, loadProfile } from "../../device-profiles/profiles.ts";
import { type QemuBoard, QemuDevice } from "../../firmware-bridge/emulator/qemu.ts";
import { isPresent, type OpenAccelerator, openAccelerator } from "../../firmware-bridge/open.ts";
import { StandingLink } from "../../firmware-bridge/standing-link.ts";
import { openPty } from "../../firmware-bridge/transport/pty.ts";
import { systemClock } from "../../runtime/base/clock.ts";
import { messageOf } from "../../runtime/base/failure.ts";
import { importModel } from "../../runtime/model/import.ts";
import { openPlan } from "../../runtime/plan/open.ts";
import { unitLayersOf } from "../../runtime/polarize/placement.ts";
import { polarizeAccelerator } from "../../runtime/polarize/polarize.ts";
import { calibrationOf, lowered } from "../../runtime/polarize/prepare.ts";
import { boardOf, buildFor, missingPrograms } from "../../tools/accelerator/firmware.ts";
import { releaseFile } from "../../tools/bearing/releases.ts";
import { bearingSamples } from "../../tools/bearing/samples.ts";
import { progressBar } from "../../tools/cli/progress.ts";
import { Showing } from "../../tools/demo/showing.ts";
import { Stage } from "../../tools/demo/stage.ts";
import { openWorld } from "../../tools/demo/world.ts";
import { firmwareTrial } from "../support/firmware-trial.ts";
import { patternLayer } from "../support/pattern-layer.ts";

/**
 * `npm run proof:qemu [-- short]`: the C firmware on emulated microcontrollers, over a real pty opened by serialport. A model is
 * programmed, calibrated, drifted and recalibrated, and must give the numbers of the TypeScript emulator; the cable is
 * pulled and the board reset in the middle of a batch; its firmware is replaced; a whole agent lives with it; and
 * products are counted.
 */
const SEED = 7;
const MONTH = 2_592_000;
const SAMPLES = 4;
const BAR = { productsPerSecond: 400, recoveryMs: 3000 } as const;
const address = join(tmpdir(), `polaredge-qemu-${process.pid}`);
const say = (text: string): void => void process.stdout.write(`${text}\n`);
/** What other work on the machine decides is shown, but not judged. */
const short = process.argv[2] === "short";
const [MISHAPS, ROUNDS] = short ? [1, 1] : [3, 5];
const faults: string[] = [];
const check = (what: string, good: boolean): void => {
  say(`  ${good ? "ok" : "NOT"} ${what}`);
  if (!good) faults.push(what);
};

const missing = missingPrograms("qemu-system-arm", "make", "arm-none-eabi-gcc");
if (missing) {
  say(`skipped: proof:qemu: ${missing}`);
  process.exit(1);
}

/** A board in QEMU with a cable that can be pulled. */
async function bench(
  profile: AcceleratorProfile,
  emulated: QemuBoard = boardOf(profile),
): Promise<{
  board: QemuDevice;
  plug(): Promise<void>;
  unplug(): Promise<void>;
}> {
  const board = await QemuDevice.start({ ...emulated, firmware: buildFor(emulated), seed: SEED });
  let pull = async (): Promise<void> => {};
  return {
    board,
    async plug() {
      const pty = await openPty();
      void board.serve(pty.device);
      symlinkSync(pty.path, address);
      pull = pty.unplug;
    },
    async unplug() {
      rmSync(address, { force: true });
      await pull();
    },
  };
}

interface Story {
  readonly answers: readonly number[];
  readonly residuals: Readonly<Record<"fresh" | "drifted" | "recalibrated", number>>;
}

/** From a float model to corrected products, a month of drift, and a recalibration. */
async function story({ session, place }: OpenAccelerator): Promise<Story> {
  const job = {
    model: readFileSync(releaseFile("1.0.0")),
    name: "bearing",
    samples: bearingSamples(SAMPLES, 5).inputs,
    profile: await loadProfile("raspberry-pi-4"),
  };
  const float = importModel(job.model, job.name);
  const basis = await calibrationOf(float, job, () => {});
  const polarized = await lowered(basis, job.profile.quantization, () => {});
  const expected = basis.observed.get(float.graph.output) ?? new Float32Array();
  const unit = await place(unitLayersOf(polarized, basis));
  const answers: number[] = [];
  const residual = async (model: typeof polarized): Promise<number> => {
    const runner = await openPlan(model, { unit, onFault: (_, error) => check(error.message, false) });
    const size = job.samples.data.length / SAMPLES;
    let [error, power] = [0, 0];
    for (let i = 0; i < SAMPLES; i++) {
      const answer = await runner.run(job.samples.data.subarray(i * size, (i + 1) * size));
      answers.push(...answer);
      for (const [j, value] of answer.entries()) {
        error += (value - expected[i * answer.length + j]) ** 2;
        power += expected[i * answer.length + j] ** 2;
      }
    }
    return Math.sqrt(error / power);
  };
  const corrected = await polarizeAccelerator(polarized, basis, unit);
  const fresh = await residual(corrected);
  await session.request("environment", { mask: 1, ageSeconds: MONTH, temperatureMc: 0, seed: 0, deadColumn: 0 });
  const drifted = await residual(corrected);
  await unit.trim();
  const recalibrated = await residual(await polarizeAccelerator(polarized, basis, unit));
  return { answers, residuals: { fresh, drifted, recalibrated } };
}

async function sameNumbers(): Promise<void> {
  const profile = await loadAcceleratorProfile("sram-bitplane-64x64");
  const { board, plug, unplug } = await bench(profile);
  await plug();
  const inC = await openAccelerator(address, profile);
  const began = performance.now();
  const got = await story(inC);
  const seconds = (performance.now() - began) / 1000;
  const { products } = await inC.session.request("status", {});
  await inC.close();
  const inTypeScript = await openAccelerator(`emulator:${profile.name}?seed=${SEED}`);
  const expected = await story(inTypeScript);
  await inTypeScript.close();
  const { fresh, drifted, recalibrated } = got.residuals;
  say(`${boardOf(profile).board}: bearing 1.0.0, ${products} products in ${seconds.toFixed(0)} s`);
  say(`  residual ${fresh.toFixed(3)}, after a month ${drifted.toFixed(3)}, recalibrated ${recalibrated.toFixed(3)}`);
  check(
    `${got.answers.length} answers equal the TypeScript emulator's, bit by bit`,
    got.answers.length === expected.answers.length && got.answers.every((value, i) => value === expected.answers[i]),
  );
  check("drift hurts and recalibration helps", drifted > fresh && recalibrated < drifted);
  await unplug();
  await board.stop();
}

/** Products of the first batch after a reset are the same after each one: cells, converters and noise begin anew. */
async function misfortunes(): Promise<void> {
  const profile = await loadAcceleratorProfile("sram-bitplane-64x64");
  const { board, plug, unplug } = await bench(profile, { ...boardOf(profile), line: "uart" });
  await plug();
  const link = new StandingLink({
    name: address,
    open: () => openAccelerator(address, profile),
    isPresent: () => isPresent(address),
    clock: systemClock,
    onFault: () => {},
  });
  const unit = await link.place([patternLayer(64, 64, 50)]);
  const inputs = Uint8Array.from({ length: 64 * 300 }, (_, i) => (i * 131) & 0xff);
  board.reset();
  const expected = await unit.multiply("layer", inputs, 300);
  for (let i = 0; i < MISHAPS; i++) {
    const batch = unit.multiply("layer", inputs, 300);
    await systemClock.sleep(30 + 40 * i);
    board.reset();
    const products = await batch;
    check(
      `reset ${i + 1} in a batch: its products are right`,
      products.every((value, j) => value === expected[j]),
    );
  }
  for (let i = 0; i < MISHAPS; i++) {
    const batch = unit.multiply("layer", inputs, 300).then(
      () => "answered",
      () => "failed",
    );
    await systemClock.sleep(30 + 40 * i);
    await unplug();
    await batch;
    await systemClock.sleep(1200);
    await plug();
    const back = performance.now();
    while (unit.layers.size === 0 && performance.now() - back < 10_000) await systemClock.sleep(10);
    const recoveryMs = performance.now() - back;
    const inTime = short ? unit.layers.size > 0 : recoveryMs < BAR.recoveryMs;
    check(`unplug ${i + 1} in a batch: recovered after ${recoveryMs.toFixed(0)} ms`, inTime);
    board.reset();
    const products = await unit.multiply("layer", inputs, 300).catch(() => new Float32Array());
    check(
      `unplug ${i + 1}: its products are right`,
      products.every((v, j) => v === expected[j]) && products.length > 0,
    );
  }
  await link.close();
  await unplug();
  await board.stop();
}

async function newFirmware(): Promise<void> {
  const profile = await loadAcceleratorProfile("sram-bitplane-64x64");
  const { board, plug, unplug } = await bench(profile);
  await plug();
  const link = await openAccelerator(address, profile);
  await firmwareTrial(board, link, check);
  await link.close();
  await unplug();
  await board.stop();
}

/** Products of 128 x 64 a second on lm3s6965evb, at best. */
async function throughput(line: QemuBoard["line"]): Promise<number> {
  const profile = await loadAcceleratorProfile("sram-bitplane-128x64");
  const { board, plug, unplug } = await bench(profile, { ...boardOf(profile), line });
  await plug();
  const link = await openAccelerator(address, profile);
  const unit = await link.place([patternLayer(128, 64, 50)]);
  const inputs = Uint8Array.from({ length: 128 * 800 }, (_, i) => (i * 131) & 0xff);
  let best = 0;
  for (let i = 0; i < ROUNDS; i++) {
    const began = performance.now();
    await unit.multiply("layer", inputs, 800);
    best = Math.max(best, 800_000 / (performance.now() - began));
  }
  await link.close();
  await unplug();
  await board.stop();
  return best;
}

/** The demo's agent, its own process, with the C firmware for an accelerator: it installs, drifts, recalibrates, stumbles. */
async function agent(): Promise<void> {
  const world = await openWorld({ keep: false, inProcess: false, backend: "qemu" });
  const stage = new Stage();
  try {
    const show = new Showing(stage, world, progressBar());
    await show.firstInstall();
    await show.yearOfDrift();
    await show.mishaps();
  } catch (error) {
    check(`the agent: ${messageOf(error)}; its last words: ${await world.device.log()}`, false);
  } finally {
    await world.end();
  }
  check("the agent kept its promises", stage.close());
}

const began = performance.now();
await sameNumbers();
await misfortunes();
await newFirmware();
await agent();
// QEMU's UART takes two changes between threads for every byte: what it reaches is what these take on this machine.
say(`lm3s6965evb: ${(await throughput("uart")).toFixed(0)} products/s of 128 x 64 through QEMU's UART`);
const perSecond = await throughput("semihosting");
check(
  `lm3s6965evb: ${perSecond.toFixed(0)} products/s of 128 x 64 through its console, bar ${BAR.productsPerSecond}`,
  short || perSecond >= BAR.productsPerSecond,
);
const seconds = ((performance.now() - began) / 1000).toFixed(0);
say(
  `${faults.length === 0 ? "ok" : "FAILED"}: proof:qemu in ${seconds} s, ${faults.length} faults ${faults.join("; ")}`.trim(),
);
process.exit(faults.length === 0 ? 0 : 1);
