import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Browser, chromium, type Page } from "playwright-core";
import { disk } from "../../runtime/store/disk.ts";
import { encodeNpy } from "../../runtime/tensor/npy.ts";
import type { TargetRef } from "../../runtime/trust/trust.ts";
import { releaseFile } from "../../tools/bearing/releases.ts";
import { bearingSamples } from "../../tools/bearing/samples.ts";
import { ArtifactServer } from "../../tools/demo/artifacts.ts";
import { type DemoDevice, startInProcess } from "../../tools/demo/device.ts";
import { writeProfile } from "../../tools/demo/world.ts";
import { openFleetPage } from "../../tools/fleet/page/serve.ts";
import { isHere, RealBroker } from "../support/real-broker.ts";
import { SimulatedFleet } from "../support/simulated-fleet.ts";
import { until } from "../support/until.ts";

/**
 * The fleet page in Chromium, before Mosquitto, simulated devices and one real agent with an emulated accelerator that
 * drifts and recalibrates. Screenshots go to the folder that is named, at 360 and 1440 pixels, light and dark.
 */
const COUNT = 500;
const DEVICE = "press-17";
const YEAR = 31_557_600;
const READY_MS = 1000;
const CHROMIUM = "/usr/bin/chromium";
const pictures = process.argv[2];
const began = performance.now();
const say = (text: string): void =>
  console.log(`${((performance.now() - began) / 1000).toFixed(1).padStart(6)} s  ${text}`);

if (!existsSync(CHROMIUM)) process.stdout.write("skipped: install chromium\n");
if (!existsSync(CHROMIUM) || !isHere()) process.exit(1);

/** What was begun, ended in turn even if the proof breaks off. */
const closers: (() => Promise<unknown>)[] = [];
process.once("uncaughtException", (error) => {
  console.error(error);
  void end().finally(() => process.exit(1));
});
async function end(): Promise<void> {
  for (const close of closers.splice(0).reverse()) await close();
}

const work = await mkdtemp(join(tmpdir(), "polaredge-page-"));
if (pictures !== undefined) await mkdir(pictures, { recursive: true });
const folder = join(work, "operator");
await disk.makeFolder(folder);
closers.push(() => rm(work, { recursive: true }));
const broker = await RealBroker.startOpen();
closers.push(() => broker.stop());
const fleet = await SimulatedFleet.open(broker.openUrl, 5, disk, folder);
closers.push(() => fleet.end());
const artifacts = await ArtifactServer.start(join(folder, "repository"));
closers.push(() => artifacts.stop());

async function startDevice(): Promise<DemoDevice> {
  await mkdir(join(work, "store"), { mode: 0o700 });
  return startInProcess(work, {
    device: { id: DEVICE, profile: await writeProfile(work), tags: ["line-3"] },
    store: { path: join(work, "store") },
    trust: { root: join(folder, "root.json"), repository: artifacts.url },
    broker: { url: broker.openUrl },
    health: { intervalSeconds: 1 },
  });
}

async function bearing(version: string): Promise<TargetRef> {
  return fleet.repository.release(
    {
      name: "bearing",
      version,
      rollbackIndex: 0,
      requires: {},
      accept: { minAgreementPct: 90 },
      trial: { passes: 2, seconds: 1, minInferences: 0 },
      files: {
        model: await readFile(releaseFile(version)),
        calibration: encodeNpy(bearingSamples(32, 5).inputs),
        probes: encodeNpy(bearingSamples(64, 6).inputs),
      },
    },
    Date.now(),
  );
}

const real = () => fleet.view.devices.get(DEVICE);

/** The agent installs a model on its tiles, drifts, and recalibrates by itself. */
async function liveAYear(device: DemoDevice, release: TargetRef): Promise<void> {
  await until("the agent", () => real()?.online === true, 20_000);
  await fleet.engine.order(DEVICE, "bearing-1.0.0-first", { action: "install", release });
  await until("the first model", () => real()?.report?.state === "COMMITTED", 60_000);
  await new Promise((resolve) => setTimeout(resolve, 6000));
  await device.age(YEAR);
  await until("the recalibration", () => (real()?.history?.calibrations.length ?? 0) >= 2, 60_000);
  await new Promise((resolve) => setTimeout(resolve, 8000));
}

async function rollOut(): Promise<void> {
  await fleet.plan("kws-1.1.0-good", "1.1.0", await fleet.release("1.1.0"), { soakSeconds: 0 });
  await fleet.engine.drive("kws-1.1.0-good");
  await fleet.plan("kws-1.2.0-bad", "1.2.0", await fleet.release("1.2.0", "bad"));
  await fleet.engine.drive("kws-1.2.0-bad");
}

const first = await fleet.release("1.0.0");
await fleet.join(COUNT, first.target, 2000);
say(`${COUNT} devices at Mosquitto`);
const device = await startDevice();
closers.push(() => device.stop());
await Promise.all([liveAYear(device, await bearing("1.0.0")), rollOut()]);
const { agreement_pct } = real()?.health ?? {};
say(`one real agent, ${real()?.history?.calibrations.length} calibrations, agreement ${agreement_pct} % after drift`);

const page = await openFleetPage(
  { broker: { url: broker.openUrl }, folder },
  { host: "127.0.0.1", port: 0, allowActions: true },
);
closers.push(() => page.close());
const browser: Browser = await chromium.launch({
  executablePath: CHROMIUM,
  args: [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
  ],
});
closers.push(() => browser.close());
const complaints: string[] = [];

async function openTab(width: number, colorScheme: "light" | "dark"): Promise<Page> {
  const context = await browser.newContext({ viewport: { width, height: width < 500 ? 780 : 900 }, colorScheme });
  const tab = await context.newPage();
  tab.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") complaints.push(message.text());
  });
  tab.on("pageerror", (error) => complaints.push(String(error)));
  return tab;
}

/** From the request to the last of the lines, in milliseconds. */
async function readiness(): Promise<number> {
  const tab = await openTab(1440, "light");
  const start = performance.now();
  await tab.goto(page.url, { waitUntil: "commit" });
  await tab.locator("a.device").nth(COUNT).waitFor({ state: "attached" });
  const ready = performance.now() - start;
  await tab.context().close();
  return ready;
}

const held: Record<string, boolean> = {};
const times: number[] = [];
for (let i = 0; i < 5; i++) times.push(await readiness());
const ready = times.sort((a, b) => a - b)[2] ?? Number.POSITIVE_INFINITY;
held.ready = ready < READY_MS;
say(
  `ready with ${COUNT + 1} devices in ${ready.toFixed(0)} ms (median of ${times.map((time) => time.toFixed(0)).join(", ")})`,
);

/** Views by name, and what has to be there before they are complete. */
const views: readonly (readonly [name: string, path: string, complete: string])[] = [
  ["fleet", "#/", "a.device"],
  ["device", `#/devices/${DEVICE}`, ".heat-row"],
  ["rollouts", "#/rollouts", ".rollout"],
  ["rollout", "#/rollouts/kws-1.2.0-bad", "a.cell.bad"],
  ["audit", "#/audit", ".audit tbody tr"],
];
const wide: string[] = [];
for (const width of [360, 1440]) {
  for (const scheme of ["light", "dark"] as const) {
    const tab = await openTab(width, scheme);
    for (const [name, path, complete] of views) {
      await tab.goto(page.url + path);
      await tab.waitForSelector(complete);
      await tab.waitForTimeout(300);
      const overflow = Number(await tab.evaluate("document.documentElement.scrollWidth - innerWidth"));
      if (overflow > 0) wide.push(`${name} at ${width}: ${overflow} px`);
      if (pictures !== undefined)
        await tab.screenshot({ path: join(pictures, `${name}-${width}-${scheme}.png`), fullPage: name !== "fleet" });
    }
    await tab.context().close();
  }
}
held.readable = wide.length === 0;
say(wide.length === 0 ? "every view fits 360 and 1440 pixels" : `too wide: ${wide.join(", ")}`);

/** A person at the keyboard: finds the device, reads why it recalibrated. */
async function walk(): Promise<void> {
  const tab = await openTab(1440, "light");
  await tab.goto(page.url);
  await tab.waitForSelector("a.device");
  await tab.keyboard.press("/");
  await tab.keyboard.type("line-3");
  await tab.locator("a.device").nth(1).waitFor({ state: "detached" });
  await tab.keyboard.press("ArrowDown");
  await tab.keyboard.press("Enter");
  await tab.waitForSelector(".timeline .good");
  const text = await tab.locator("main").textContent();
  held.why = /agreement \d+\.\d % with the float model in 2 checks, below \d+ %/.test(text ?? "");
  held.layers =
    (await tab.locator(".layers tbody tr").count()) >= 4 && (await tab.locator(".heat-row i").count()) >= 32;
  held.curve = (await tab.locator(".curve canvas").count()) === 1;
  await tab.keyboard.press("2");
  await tab.click("text=kws-1.2.0");
  await tab.click("text=Resume");
  await tab.click("text=Resume: sure?");
  await until(
    "the stop of the resumed rollout",
    () => fleet.view.rollouts.get("kws-1.2.0-bad")?.status === "paused",
    20_000,
  );
  held.action = true;
  await tab.keyboard.press("3");
  await tab.waitForSelector("text=the chain of hashes is whole");
  await tab.context().close();
}
await walk();
say(`by keyboard to a device and its decisions, a rollout resumed from the page: ${JSON.stringify(held)}`);

/** The broker goes and comes back; the page says so both times and keeps what it knows. */
async function lose(): Promise<void> {
  const tab = await openTab(1440, "light");
  await tab.goto(page.url);
  await tab.waitForSelector("a.device");
  await broker.halt();
  await tab.waitForSelector("text=The broker is away");
  const kept = await tab.locator("a.device").count();
  if (pictures !== undefined) await tab.screenshot({ path: join(pictures, "away-1440-light.png") });
  await broker.begin();
  await tab.waitForSelector("text=The broker is away", { state: "detached", timeout: 20_000 });
  held.away = kept === COUNT + 1;
  await tab.context().close();
}
await lose();
say("the broker was away: the page said so, and when it was back");
held.console = complaints.length === 0;
for (const complaint of new Set(complaints)) say(`console: ${complaint}`);

await end();
const failed = Object.entries(held).flatMap(([name, good]) => (good ? [] : [name]));
console.log(
  `page: ready in ${ready.toFixed(0)} ms with ${COUNT + 1} devices, ${complaints.length} complaints in the console; ` +
    `${failed.length === 0 ? "all held" : `FAILED: ${failed}`}`,
);
process.exit(failed.length === 0 ? 0 : 1);
