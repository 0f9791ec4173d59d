import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Agent } from "../../runtime/agent/agent.ts";
import { systemClock } from "../../runtime/base/clock.ts";
import { silentLog } from "../../runtime/base/log.ts";
import { download } from "../../runtime/fleet/files/download.ts";
import { openFleet } from "../../runtime/fleet/mqtt.ts";
import { Outbox } from "../../runtime/fleet/outbox.ts";
import type { Report } from "../../runtime/fleet/topics.ts";
import { disk } from "../../runtime/store/disk.ts";
import { Store } from "../../runtime/store/store.ts";
import { Broker } from "../support/broker.ts";
import { type FakeModel, fakeRelease, payload } from "../support/jobs.ts";
import { until } from "../support/until.ts";
import { World } from "../support/world.ts";

/** The agent with a real broker, a real server and a real disk; only the models are made up. */
const test = suite("device");
const trial = { passes: 2, seconds: 0.1, minInferences: 0 };
const files = new Map<string, Uint8Array>();
const server = createServer((request, response) => {
  const file = files.get(request.url ?? "");
  response.writeHead(file ? 200 : 404).end(file);
});
const world = new World();
let folder = "";
let origin = "";
let broker: Broker;
let agent: Agent;

test.before(async () => {
  folder = await mkdtemp(join(tmpdir(), "polaredge-device-"));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  broker = await Broker.start("pi-1");
  agent = await start();
});
test.after(async () => {
  await agent.stop();
  await broker.stop();
  server.close();
  await rm(folder, { recursive: true });
});

async function start(): Promise<Agent> {
  const clock = systemClock;
  const outbox = await Outbox.open(disk, folder);
  return Agent.start({
    ...(await world.parts()),
    store: await Store.open(disk, folder),
    connect: (listener) =>
      openFleet({ device: "pi-1", broker: { url: broker.url }, listener, outbox, clock, log: silentLog }),
    fetch: (url, part, options) => download(url, part, { clock, firstPauseMs: 1, ...options }),
    clock,
  });
}

function report(): Report | undefined {
  return broker
    .texts("job/reported")
    .map((text) => JSON.parse(text))
    .at(-1);
}

async function deploy(model: FakeModel, seq: number): Promise<Report | undefined> {
  const release = fakeRelease(model, origin);
  for (const [path, data] of release.files) files.set(path, data);
  const job = release.job(seq, { trial: { ...trial, ...(model.shift !== undefined && { minContinuityPct: 50 }) } });
  await broker.say("job/desired", payload(job), true);
  await until(`the end of job ${seq}`, () => report()?.seq === seq && report()?.status !== "IN_PROGRESS");
  return report();
}

test("it says who it is and how it is", async () => {
  await until("its health", () => broker.texts("state").length > 0);
  assert.equal(broker.texts("online"), ["online"]);
  assert.is(JSON.parse(broker.texts("info")[0] ?? "").device, "pi-1");
  assert.is(JSON.parse(broker.texts("state")[0] ?? "").reasons[0], "no-model");
});

test("a good update, another one, and one that is rolled back", async () => {
  assert.equal([(await deploy({ version: "1" }, 1))?.state, report()?.active?.version], ["COMMITTED", "1"]);
  assert.equal([(await deploy({ version: "2" }, 2))?.state, report()?.active?.version], ["COMMITTED", "2"]);
  const bad = await deploy({ version: "3", shift: 1 }, 3);
  assert.equal([bad?.state, bad?.code, bad?.active?.version], ["ROLLED_BACK", "job/trial", "2"]);
  assert.equal([...(await agent.infer(Float32Array.of(1)))], [0, 1, 0]);
  await until("the events", () => broker.texts("event").length === 3);
  const codes = broker.texts("event").map((text) => JSON.parse(text).code);
  assert.equal(codes, ["job/committed", "job/committed", "job/trial"]);
});

test("after an outage it reports again, and the old goal is not begun again", async () => {
  const [reports, events] = [broker.texts("job/reported").length, broker.texts("event").length];
  broker.cut();
  await until("a new report", () => broker.texts("job/reported").length > reports);
  assert.equal([report()?.seq, report()?.state], [3, "ROLLED_BACK"]);
  await broker.say("cmd/ping", JSON.stringify({ id: "1", replyTo: "desk" }));
  await until("the ping", () => broker.texts("rsp/desk").length > 0);
  assert.is(broker.texts("event").length, events);
});

test("a restart serves what was committed, before anybody asks", async () => {
  await agent.stop();
  agent = await start();
  assert.equal([...(await agent.infer(Float32Array.of(2)))], [0, 0, 1]);
  assert.is(agent.state.active?.version, "2");
});

test.run();
