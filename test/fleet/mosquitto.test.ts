import { connectAsync, type MqttClient } from "mqtt";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { systemClock } from "../../runtime/base/clock.ts";
import { silentLog } from "../../runtime/base/log.ts";
import { openFleet } from "../../runtime/fleet/mqtt.ts";
import { Outbox } from "../../runtime/fleet/outbox.ts";
import type { Fleet, FleetEvent, Info, Report } from "../../runtime/fleet/topics.ts";
import { Listener } from "../support/listener.ts";
import { MemoryDisk } from "../support/memory-disk.ts";
import { isHere, RealBroker } from "../support/real-broker.ts";
import { until } from "../support/until.ts";

const test = suite("mosquitto");
const event = (n: number): FleetEvent => ({ n, ts: 0, boot: "b", level: "info", code: "job/c", msg: "m" });
const info: Info = { v: 1, device: "pi-1", boot: "b", runtime: "1", node: "v", profile: "p", accelerator: null };

if (isHere()) {
  let broker: RealBroker;
  let operator: MqttClient;
  let fleet: Fleet;
  let listener: Listener;
  const heard: { topic: string; text: string; retain: boolean }[] = [];
  const texts = (name: string): string[] =>
    heard.filter(({ topic }) => topic === `polaredge/v1/pi-1/${name}`).map(({ text }) => text);

  const follow = async (): Promise<void> => {
    operator = await broker.connect("fleet");
    operator.on("message", (topic, payload, { retain }) => heard.push({ topic, text: String(payload), retain }));
    operator.on("error", () => undefined);
    await operator.subscribeAsync("polaredge/v1/#", { qos: 1 });
  };

  test.before(async () => {
    broker = await RealBroker.start(["fleet", "homeassistant", "pi-1", "pi-2"]);
    await follow();
    listener = new Listener();
    fleet = openFleet({
      device: "pi-1",
      broker: { url: broker.url, tls: broker.tls("pi-1"), homeAssistant: true },
      listener,
      outbox: await Outbox.open(new MemoryDisk(), "/"),
      clock: systemClock,
      log: silentLog,
    });
    await until("the connection", () => listener.connections === 1);
  });
  test.after(async () => {
    await fleet.close();
    operator.end(true);
    await broker.stop();
  });

  test("with its certificate a device is in, without one nobody is", async () => {
    await until("online", () => texts("online").includes("online"));
    const anybody = connectAsync(broker.url, { rejectUnauthorized: false, reconnectPeriod: 0 }, false);
    assert.is(
      await anybody.then(
        () => "in",
        () => "out",
      ),
      "out",
    );
  });

  test("a device can't write its own goal or another's topics, and reads its own goal only", async () => {
    const thief = await broker.connect("pi-2");
    const codeOf = (topic: string): Promise<unknown> =>
      thief.publishAsync(topic, "{}", { qos: 1 }).then(
        () => "taken",
        (error: { code?: number }) => error.code,
      );
    assert.is(await codeOf("polaredge/v1/pi-2/state"), "taken");
    for (const topic of ["polaredge/v1/pi-2/job/desired", "polaredge/v1/pi-2/cmd/ping", "polaredge/v1/pi-1/state"]) {
      assert.is(await codeOf(topic), 135, topic);
    }
    const read: string[] = [];
    thief.on("message", (topic) => read.push(topic));
    await thief.subscribeAsync("polaredge/v1/#", { qos: 1 });
    await operator.publishAsync("polaredge/v1/pi-1/job/desired", "secret", { qos: 1 });
    await operator.publishAsync("polaredge/v1/pi-2/job/desired", "mine", { qos: 1 });
    await until("the own goal", () => read.length > 0);
    assert.equal(read, ["polaredge/v1/pi-2/job/desired"]);
    await thief.endAsync(true);
  });

  test("Home Assistant gets the device, may read its state and recalibrate it, and no more", async () => {
    const home = await broker.connect("homeassistant");
    const seen = new Map<string, string>();
    home.on("message", (topic, payload) => seen.set(topic, String(payload)));
    await home.subscribeAsync(["homeassistant/#", "polaredge/v1/#"], { qos: 1 });
    await fleet.publish("info", info);
    await fleet.publish("job/reported", { status: "IDLE", active: { name: "kws", version: "1" } } as Report);
    await until("the view", () => seen.has("polaredge/v1/pi-1/job/update"));
    const { dev, cmps } = JSON.parse(seen.get("homeassistant/device/pi-1/config") ?? "{}");
    assert.equal([dev.name, cmps.recalibrate.command_topic], ["pi-1", "polaredge/v1/pi-1/cmd/recalibrate"]);
    assert.not.ok(seen.has("polaredge/v1/pi-1/job/reported"));
    await home.publishAsync(cmps.recalibrate.command_topic, "{}", { qos: 1 });
    const denied = await home.publishAsync("polaredge/v1/pi-1/cmd/ping", "{}", { qos: 1 }).catch(({ code }) => code);
    assert.is(denied, 135);
    await home.endAsync(true);
  });

  test("a broker that restarts loses no event, and the device is back within seconds", async () => {
    await operator.publishAsync("polaredge/v1/pi-1/job/desired", "goal", { qos: 1, retain: true });
    await until("the goal", () => listener.jobs.includes("goal"));
    const connections = listener.connections;
    await broker.halt();
    for (let n = 1; n <= 50; n++) await fleet.publish("event", event(n));
    await broker.begin();
    await follow();
    const began = performance.now();
    await until("the device", () => listener.connections > connections, 20_000);
    await until("the events", () => texts("event").length >= 50, 20_000);
    assert.equal(
      texts("event").map((text) => JSON.parse(text).n),
      Array.from({ length: 50 }, (_, i) => i + 1),
    );
    assert.ok(performance.now() - began < 15_000);
    assert.is(listener.jobs.at(-1), "goal", "the retained goal outlives the broker");
  });
}

test.run();
