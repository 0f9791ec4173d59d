import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../runtime/base/clock.ts";
import { isFailure } from "../../runtime/base/failure.ts";
import type { FleetEvent } from "../../runtime/fleet/topics.ts";
import { disk } from "../../runtime/store/disk.ts";
import { encodeNpy } from "../../runtime/tensor/npy.ts";
import { releaseFile } from "../../tools/bearing/releases.ts";
import { bearingSamples } from "../../tools/bearing/samples.ts";
import { Application } from "../../tools/demo/application.ts";
import { Artifacts } from "../../tools/fleet/artifacts.ts";
import { Audit } from "../../tools/fleet/audit.ts";
import { Engine } from "../../tools/fleet/engine.ts";
import { Repository } from "../../tools/fleet/repository.ts";
import { FleetView } from "../../tools/fleet/view.ts";
import { isHere, RealBroker } from "../support/real-broker.ts";
import { rejection, until } from "../support/until.ts";

/**
 * One device as it is shipped (dist, its own process) that reaches nothing but a Mosquitto with TLS: it installs a
 * release from there; what it takes at rest; and broker outages in the middle of jobs.
 */
const outages = Number(process.argv[2] ?? 10);
const restSeconds = Number(process.argv[3] ?? 30);
const OUTAGE_MS = 3000;
const DEVICE = "pi-1";
if (!isHere()) process.exit(1);

const folder = await mkdtemp(join(tmpdir(), "polaredge-agent-"));
const socket = join(folder, "agent.sock");
const operatorFolder = join(folder, "operator");
await disk.makeFolder(operatorFolder);
const repository = await Repository.create(disk, operatorFolder, Date.now(), { count: 1, threshold: 1 });
const broker = await RealBroker.start(["fleet", DEVICE]);
const client = await broker.connect("fleet");
client.on("error", () => undefined);
client.options.reconnectPeriod = 100;
const view = await FleetView.open(client);
const events: FleetEvent[] = [];
await client.subscribeAsync(`polaredge/v1/${DEVICE}/event`, { qos: 1 });
let heardAt = 0;
client.on("message", (topic, payload, { retain }) => {
  if (topic.endsWith("/event")) events.push(JSON.parse(String(payload)));
  if (topic.endsWith("/online") && !retain && String(payload) === "online") heardAt = performance.now();
});
await Artifacts.serve(client, disk, join(operatorFolder, "repository"));
const audit = new Audit(disk, operatorFolder);
const engine = new Engine({ client, view, repository, audit, clock: systemClock });

async function startAgent(): Promise<ChildProcess> {
  const config = {
    device: { id: DEVICE, profile: "raspberry-pi-4" },
    store: { path: join(folder, "store") },
    trust: { root: join(operatorFolder, "root.json"), repository: "mqtt:" },
    broker: { url: broker.url, tls: broker.tls(DEVICE) },
    serve: { socket },
    log: { level: "error" },
  };
  await disk.makeFolder(config.store.path);
  await writeFile(join(folder, "polaredge.json"), JSON.stringify(config));
  const args = ["dist/tools/cli.js", "run", "--config", join(folder, "polaredge.json")];
  return spawn(process.execPath, args, { stdio: "inherit" });
}

const report = (): { jobId: string | null; status: string } =>
  view.devices.get(DEVICE)?.report ?? { jobId: null, status: "IDLE" };

async function finished(jobId: string): Promise<void> {
  const ended = (): boolean => report().jobId === jobId && report().status !== "IN_PROGRESS";
  await until(`${jobId} ends`, ended, 120_000);
  if (report().status !== "SUCCEEDED") throw new Error(JSON.stringify(report()));
}

async function install(): Promise<void> {
  const npy = (count: number, seed: number): Uint8Array => encodeNpy(bearingSamples(count, seed).inputs);
  const files = { model: readFileSync(releaseFile("1.0.0")), calibration: npy(32, 1), probes: npy(64, 2) };
  const draft = { name: "bearing", version: "1.0.0", rollbackIndex: 0, requires: {}, accept: { minAgreementPct: 90 } };
  const trial = { passes: 1, seconds: 0.5, minInferences: 0 };
  const release = await repository.release({ ...draft, trial, files }, Date.now());
  await engine.order(DEVICE, "install", { action: "install", release });
  await finished("install");
}

/** Of Linux's accounts (proc(5)): memory in MB, processor time in seconds; a tick is 10 ms. */
function accounts(pid: number): { readonly rssMb: number; readonly cpuSeconds: number } {
  const [, kb = "0"] = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  return { rssMb: Number(kb) / 1024, cpuSeconds: (Number(fields[11]) + Number(fields[12])) / 100 };
}

/** An outage while a job is at work. How long the device took to come back. */
async function outage(n: number): Promise<number> {
  const jobId = `again-${n}`;
  await engine.order(DEVICE, jobId, { action: "recalibrate" });
  await systemClock.sleep(200);
  await broker.halt();
  await systemClock.sleep(OUTAGE_MS);
  await broker.begin();
  const began = performance.now();
  await until("the device", () => heardAt > began, 30_000);
  const seconds = (heardAt - began) / 1000;
  await finished(jobId);
  await until(`the event of ${jobId}`, () => events.some(({ msg }) => msg.startsWith(`${jobId}: COMMITTED`)));
  return seconds;
}

/** How long until a program on the device has its first answer, in milliseconds. */
async function firstAnswer(): Promise<number> {
  const began = performance.now();
  const ask = async (): Promise<unknown> =>
    (await Application.open(socket, "bearing", bearingSamples(1, 3).inputs)).classes();
  while (isFailure(await rejection(ask()), "serve/unavailable")) await systemClock.sleep(2);
  return performance.now() - began;
}

/** After a while at rest: memory in MB, processor time in per cent of a core. */
async function atRest(pid: number): Promise<{ readonly rssMb: number; readonly cpuPct: number }> {
  await systemClock.sleep(5000);
  const before = accounts(pid).cpuSeconds;
  await systemClock.sleep(restSeconds * 1000);
  const { rssMb, cpuSeconds } = accounts(pid);
  return { rssMb, cpuPct: (100 * (cpuSeconds - before)) / restSeconds };
}

async function stop(agent: ChildProcess): Promise<void> {
  const gone = new Promise((resolve) => agent.once("exit", resolve));
  agent.kill("SIGTERM");
  await gone;
}

let agent = await startAgent();
try {
  await until("the device", () => view.devices.get(DEVICE)?.online === true, 30_000);
  const began = performance.now();
  await install();
  console.log(`a release of 1.0.0 installed over MQTT alone in ${((performance.now() - began) / 1000).toFixed(1)} s`);
  const after = await atRest(agent.pid ?? 0);
  console.log(`at rest after that: ${after.rssMb.toFixed(0)} MB, ${after.cpuPct.toFixed(2)} % of a core`);
  await stop(agent);
  agent = await startAgent();
  console.log(`started again, it answers its first question after ${(await firstAnswer()).toFixed(0)} ms`);
  const rest = await atRest(agent.pid ?? 0);
  console.log(`at rest after a restart: ${rest.rssMb.toFixed(0)} MB, ${rest.cpuPct.toFixed(2)} % of a core`);
  const back: number[] = [];
  for (let n = 1; n <= outages; n++) back.push(await outage(n));
  const median = back.sort((a, b) => a - b)[outages >> 1] ?? Number.NaN;
  const good = median <= 5;
  console.log(
    `agent: ${rest.rssMb.toFixed(0)} MB and ${rest.cpuPct.toFixed(2)} % CPU at rest (${after.rssMb.toFixed(0)} MB after an install); ${outages} outages within jobs: back in ` +
      `${median.toFixed(1)} s (median; bar 5), every job done, every event heard; ${good ? "all held" : "FAILED"}`,
  );
  process.exitCode = good ? 0 : 1;
} finally {
  await stop(agent);
  client.end(true);
  await broker.stop();
  await rm(folder, { recursive: true });
}
