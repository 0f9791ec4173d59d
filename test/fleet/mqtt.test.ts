import { suite } from "uvu";
import * as assert from "uvu/assert";
import { systemClock } from "../../runtime/base/clock.ts";
import { silentLog } from "../../runtime/base/log.ts";
import { Transfers } from "../../runtime/fleet/files/transfers.ts";
import { openFleet } from "../../runtime/fleet/mqtt.ts";
import { Outbox } from "../../runtime/fleet/outbox.ts";
import type { Fleet, FleetEvent, Report } from "../../runtime/fleet/topics.ts";
import { Store } from "../../runtime/store/store.ts";
import { Trust } from "../../runtime/trust/trust.ts";
import { Artifacts } from "../../tools/fleet/artifacts.ts";
import { connectTo } from "../../tools/fleet/connect.ts";
import { type ReleaseDraft, Repository } from "../../tools/fleet/repository.ts";
import { Broker } from "../support/broker.ts";
import { Broker5 } from "../support/broker-5.ts";
import { Listener } from "../support/listener.ts";
import { MemoryDisk } from "../support/memory-disk.ts";
import { until } from "../support/until.ts";

const test = suite("mqtt");
const idle = { status: "IDLE", state: "IDLE" } as Report;
const draft: Omit<ReleaseDraft, "files"> = {
  name: "kws",
  version: "1.0.0",
  rollbackIndex: 0,
  requires: {},
  accept: { minAgreementPct: 90 },
  trial: { passes: 2, seconds: 1, minInferences: 0 },
};
const event = (n: number): FleetEvent => ({ n, ts: 0, boot: "b", level: "info", code: "c", msg: "m" });

let broker: Broker;
let listener: Listener;
let fleet: Fleet;

test.before.each(async () => {
  broker = await Broker.start("pi-1");
  listener = new Listener();
  fleet = openFleet({
    device: "pi-1",
    broker: { url: broker.url },
    listener,
    outbox: await Outbox.open(new MemoryDisk(), "/"),
    clock: systemClock,
    log: silentLog,
    random: () => 0,
  });
  await until("the connection", () => listener.connections === 1);
});
test.after.each(async () => {
  await fleet.close();
  await broker.stop();
});

test("a broker that speaks 3.1.1 only is served in 3.1.1, and hears the device come and go", async () => {
  assert.equal(broker.texts("online"), ["online"]);
  await fleet.close();
  assert.equal(broker.texts("online"), ["online", "offline"]);
  assert.ok(broker.heard.every(({ retain }) => retain));
});

test("the last will says that the device is gone", async () => {
  broker.cut();
  await until("the will", () => broker.texts("online").includes("offline"));
  await until("the next connection", () => listener.connections === 2);
  assert.is(broker.texts("online").at(-1), "online");
});

test("after an outage it comes back, subscribed, with the events of the time between", async () => {
  const port = await broker.vanish();
  await until("notice", () => listener.connections === 1);
  await new Promise((resolve) => setTimeout(resolve, 50));
  for (let n = 1; n <= 100; n++) await fleet.publish("event", event(n));
  await fleet.publish("job/reported", idle);
  await broker.listen(port);
  await until("the next connection", () => listener.connections === 2);
  await until("the events", () => broker.texts("event").length === 100);
  assert.equal(
    broker.texts("event").map((text) => JSON.parse(text)),
    Array.from({ length: 100 }, (_, i) => ({ ...event(i + 1), hist: true })),
  );
  await fleet.publish("event", event(101));
  assert.equal(JSON.parse(broker.texts("event").at(-1) ?? ""), event(101));
  await broker.say("job/desired", "{}");
  await until("a job", () => listener.jobs.length === 1);
  assert.equal(broker.texts("job/reported"), []);
});

test("a goal that was set while the device was away is there when it comes", async () => {
  await broker.say("job/desired", '{"seq":1}', true);
  await until("the job", () => listener.jobs.length === 1);
  broker.cut();
  await until("the job again", () => listener.jobs.length === 2);
  assert.equal(listener.jobs, ['{"seq":1}', '{"seq":1}']);
});

test("a command is answered where it asks to be, once", async () => {
  await broker.say("cmd/ping", JSON.stringify({ id: "a1", replyTo: "desk" }));
  await until("the answer", () => broker.texts("rsp/desk").length === 1);
  assert.equal(JSON.parse(broker.texts("rsp/desk")[0] ?? ""), { id: "a1", ok: true, result: { number: 1 } });
  await broker.say("cmd/ping", JSON.stringify({ id: "a1", replyTo: "desk" }));
  await broker.say("cmd/ping", JSON.stringify({ id: "a2", replyTo: "desk" }));
  await until("the second answer", () => broker.texts("rsp/desk").length === 2);
  assert.is(listener.commands.length, 2);
});

test("a retained command is ignored", async () => {
  await broker.say("cmd/recalibrate", "{}", true);
  await until("it, live", () => listener.commands.length === 1);
  broker.cut();
  await until("the next connection", () => listener.connections === 2);
  await broker.say("cmd/ping", "{}");
  await until("a ping", () => listener.commands.length >= 2);
  assert.equal(
    listener.commands.map(({ name }) => name),
    ["recalibrate", "ping"],
  );
});

test("a payload that no broker takes is dropped, and the connection lives on", async () => {
  await fleet.publish("job/reported", { ...idle, message: "x".repeat(300_000) });
  await fleet.publish("job/reported", idle);
  assert.equal(broker.texts("job/reported"), [JSON.stringify(idle)]);
  assert.is(listener.connections, 1);
});

test("a device that reaches only its broker gets a signed release from there, all of it", async () => {
  const files = new MemoryDisk();
  const repository = await Repository.create(files, "/op", Date.now(), { count: 1, threshold: 1 });
  const [model, calibration, probes] = [150_000, 10, 20].map((length) => new Uint8Array(length).fill(length % 251));
  const ref = await repository.release({ ...draft, files: { model, calibration, probes } }, Date.now());
  const operator = await connectTo({ url: broker.url });
  await Artifacts.serve(operator, files, "/op/repository");

  const transfers = new Transfers();
  const outbox = await Outbox.open(new MemoryDisk(), "/");
  const parts = { broker: { url: broker.url }, listener: new Listener(), outbox, clock: systemClock, log: silentLog };
  const device = openFleet({ device: "pi-2", ...parts, transfers });
  await until("the connection", () => transfers.connected);
  const [store, signal] = [await Store.open(new MemoryDisk(), "/store"), AbortSignal.timeout(10_000)];
  const trust = await Trust.start({
    root: await repository.enrolment(),
    fetch: transfers.small({ clock: systemClock }),
    file: store.trust,
    blobs: store.blobs,
    clock: systemClock,
  });
  const { manifest } = await trust.release(ref, undefined, signal);
  await transfers.fetch(await store.blobs.part(manifest.model), { clock: systemClock, signal });
  assert.equal(await store.blobs.read(manifest.model.sha256), model);
  await device.close();
  await operator.endAsync(true);
});

test("with MQTT 5 the will waits, the broker's limit holds and answers carry their correlation", async () => {
  const five = new Broker5(2000);
  const heard = new Listener();
  const modern = openFleet({
    device: "pi-5",
    broker: { url: await five.listen(), username: "pi-5", password: "secret" },
    listener: heard,
    outbox: await Outbox.open(new MemoryDisk(), "/"),
    clock: systemClock,
    log: silentLog,
  });
  await until("the connection", () => heard.connections === 1);
  const { protocolVersion, will, properties } = five.connect ?? {};
  assert.equal([protocolVersion, will?.properties?.willDelayInterval, properties?.maximumPacketSize], [5, 10, 66_560]);

  const correlationData = Buffer.from([1, 2, 3]);
  five.publish("polaredge/v1/pi-5/cmd/ping", "", { responseTopic: "polaredge/v1/pi-5/rsp/desk", correlationData });
  await until("the answer", () => five.published.some(({ topic }) => topic.endsWith("/rsp/desk")));
  assert.equal(five.published.at(-1)?.properties?.correlationData, correlationData);

  await modern.publish("job/reported", { ...idle, message: "x".repeat(2000) });
  await modern.publish("job/reported", idle);
  assert.is(five.published.filter(({ topic }) => topic.endsWith("job/reported")).length, 1);
  await modern.close();
  await five.stop();
});

test("who is thrown out because another has come with his id says so, and does not fight", async () => {
  const five = new Broker5(2000);
  const heard = new Listener();
  const url = await five.listen();
  const outbox = await Outbox.open(new MemoryDisk(), "/");
  const parts = { device: "pi-5", broker: { url }, listener: heard, outbox, clock: systemClock, log: silentLog };
  const device = openFleet({ ...parts, random: () => 0 });
  await until("the connection", () => heard.connections === 1);
  assert.equal([five.connect?.clean, five.connect?.properties?.sessionExpiryInterval], [false, 600]);
  five.throwOut(142);
  await until("notice", () => heard.taken === 1);
  await new Promise((resolve) => setTimeout(resolve, 1000));
  assert.is(five.connections, 1);
  await device.close();
  await five.stop();
});

test.run();
