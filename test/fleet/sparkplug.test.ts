import { connectAsync, type MqttClient } from "mqtt";
import sparkplug from "sparkplug-payload";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { systemClock } from "../../runtime/base/clock.ts";
import { silentLog } from "../../runtime/base/log.ts";
import { EdgeNode, withEdgeNode } from "../../runtime/fleet/sparkplug/edge-node.ts";
import { commandsIn, encodePayload, type Metric } from "../../runtime/fleet/sparkplug/payload.ts";
import type { Fleet } from "../../runtime/fleet/topics.ts";
import type { Health } from "../../runtime/health/health.ts";
import { Broker } from "../support/broker.ts";
import { until } from "../support/until.ts";

const test = suite("sparkplug");
/** The reference implementation (Eclipse Tahu). */
const oracle = sparkplug.get("spBv1.0");
if (!oracle) throw new Error("sparkplug-payload knows no spBv1.0");

const metrics: readonly Metric[] = [
  { name: "a", alias: 0, type: "uint64", value: 2 ** 40 },
  { name: "b", alias: 300, type: "double", value: -1.25 },
  { name: "c", type: "boolean", value: true },
  { alias: 4, type: "string", value: "Ä 1" },
  { name: "e", alias: 5, type: "double", value: null },
];

test("the reference reads what is written, value by value", () => {
  const read = oracle.decodePayload(encodePayload({ timestamp: 1_700_000_000_000, seq: 255, metrics }));
  assert.equal([Number(read.timestamp), Number(read.seq)], [1_700_000_000_000, 255]);
  const plain = read.metrics?.map(({ name, alias, type, value }) => [
    name,
    alias === undefined || alias === null ? undefined : Number(alias),
    type,
    typeof value === "object" && value !== null ? Number(value) : value,
  ]);
  assert.equal(plain, [
    ["a", 0, "UInt64", 2 ** 40],
    ["b", 300, "Double", -1.25],
    ["c", undefined, "Boolean", true],
    [undefined, 4, "String", "Ä 1"],
    ["e", 5, "Double", null],
  ]);
});

test("commands of the reference are read, nonsense is none", () => {
  const command = (value: boolean): Uint8Array =>
    oracle.encodePayload({ timestamp: 1, metrics: [{ name: "Node Control/Rebirth", type: "Boolean", value }] });
  assert.equal(commandsIn(command(true)), ["Node Control/Rebirth"]);
  assert.equal(commandsIn(command(false)), []);
  for (const bytes of [new Uint8Array(), Uint8Array.of(255, 255), command(true).subarray(0, 9)]) {
    assert.equal(commandsIn(bytes), []);
  }
});

interface Said {
  readonly type: string;
  readonly seq: number | undefined;
  readonly values: ReadonlyMap<string | number, unknown>;
}

let broker: Broker;
let host: MqttClient;
let node: EdgeNode;
let said: Said[] = [];
const health = (change: Partial<Health>): Health =>
  ({ status: "ok", reasons: [], inf_total: 1, agreement_pct: 99, link_ok: null, ...change }) as unknown as Health;
const of = (type: string): Said[] => said.filter((message) => message.type === type);

function heard(topic: string, payload: Uint8Array): void {
  const { seq, metrics: list } = oracle?.decodePayload(payload) ?? {};
  const values = new Map(
    list?.map(({ name, alias, value }) => [
      name ?? Number(alias),
      typeof value === "object" && value ? Number(value) : value,
    ]),
  );
  said.push({
    type: topic.split("/")[2] ?? "",
    seq: seq === undefined || seq === null ? undefined : Number(seq),
    values,
  });
}

test.before.each(async () => {
  said = [];
  broker = await Broker.start("nobody");
  host = await connectAsync(broker.url, { protocolVersion: 4 });
  host.on("message", heard);
  await host.subscribeAsync("spBv1.0/plant/#");
  const parts = { device: "pi-1", group: "plant", broker: { url: broker.url }, clock: systemClock, log: silentLog };
  node = new EdgeNode({ ...parts, random: () => 0 });
  node.publish(health({}));
  await until("the birth", () => of("NBIRTH").length === 1);
});
test.after.each(async () => {
  await node.close();
  await host.endAsync(true);
  await broker.stop();
});

test("a birth names everything, data only what has changed, in sequence", async () => {
  const [birth] = of("NBIRTH");
  assert.equal([birth?.seq, birth?.values.get("bdSeq")], [0, 1]);
  assert.equal(
    ["status", "inf_total", "agreement_pct", "link_ok", "Node Control/Rebirth"].map((name) => birth?.values.get(name)),
    ["ok", 1, 99, null, false],
  );
  node.publish(health({}));
  node.publish(health({ agreement_pct: 80 }));
  node.publish(health({ agreement_pct: 80, status: "degraded", reasons: ["drifting"] }));
  await until("the data", () => of("NDATA").length === 2);
  assert.equal(
    of("NDATA").map(({ seq, values }) => [seq, values.size]),
    [
      [1, 1],
      [2, 2],
    ],
  );
  assert.equal([...(of("NDATA")[1]?.values.values() ?? [])], ["degraded", "drifting"]);
});

test("a host that has missed something gets another birth", async () => {
  node.publish(health({ agreement_pct: 80 }));
  const rebirth = { timestamp: 1, metrics: [{ name: "Node Control/Rebirth", type: "Boolean" as const, value: true }] };
  await host.publishAsync("spBv1.0/plant/NCMD/pi-1", Buffer.from(oracle.encodePayload(rebirth)));
  await until("it", () => of("NBIRTH").length === 2);
  assert.equal([of("NBIRTH")[1]?.seq, of("NBIRTH")[1]?.values.get("agreement_pct")], [0, 80]);
});

test("a lost connection is a death with the number of its birth, and the next birth has the next", async () => {
  host.removeAllListeners("message");
  const watcher = await connectAsync(broker.url, { protocolVersion: 4, reconnectPeriod: 20 });
  watcher.on("message", heard);
  await watcher.subscribeAsync("spBv1.0/plant/#");
  broker.cut();
  await until("the next birth", () => of("NBIRTH").length === 2, 15_000);
  assert.is(of("NBIRTH")[1]?.values.get("bdSeq"), 2);
  await watcher.endAsync(true);
});

test("who goes in order says so", async () => {
  const quiet: Fleet = { publish: async () => undefined, close: async () => undefined };
  const fleet = withEdgeNode(quiet, node);
  await fleet.publish("state", health({ status: "fault" }));
  await fleet.close();
  await until("the death", () => of("NDEATH").length === 1);
  assert.equal([of("NDEATH")[0]?.seq, of("NDEATH")[0]?.values.get("bdSeq")], [undefined, 1]);
  assert.is(of("NDATA")[0]?.values.get(0), "fault");
});

test.run();
