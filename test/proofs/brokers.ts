import { randomBytes } from "node:crypto";
import { connectAsync, type MqttClient } from "mqtt";
import { systemClock } from "../../runtime/base/clock.ts";
import { messageOf } from "../../runtime/base/failure.ts";
import { topicOf } from "../../runtime/fleet/topics.ts";
import { Blobs } from "../../runtime/store/blobs.ts";
import { sha256 } from "../../runtime/store/digest.ts";
import { table } from "../../tools/cli/table.ts";
import { Artifacts } from "../../tools/fleet/artifacts.ts";
import { ConnectedDevice } from "../support/connected-device.ts";
import { MemoryDisk } from "../support/memory-disk.ts";
import { type BrokerKind, isHere, mosquitto, nats, RealBroker } from "../support/real-broker.ts";
import { SimulatedFleet } from "../support/simulated-fleet.ts";
import { until } from "../support/until.ts";

/** What a fleet needs of a broker, asked of those that Debian has, over TLS, with the configuration of `fleet ca`. */
const COUNT = Number(process.argv[2] ?? 200);
const BYTES = 1_000_000;
const EVENTS = 50;

/** A device and an operator at a broker. */
interface Bench {
  readonly kind: BrokerKind;
  readonly broker: RealBroker;
  readonly device: ConnectedDevice;
  readonly heard: Map<string, string[]>;
  operator: MqttClient;
}

const topic = (name: string): string => topicOf("pi-1", name);
const texts = ({ heard }: Bench, name: string): readonly string[] => heard.get(topic(name)) ?? [];
const publish = ({ operator }: Bench, name: string, payload: string, retain = false): Promise<unknown> =>
  operator.publishAsync(topic(name), payload, { qos: 1, retain });

async function follow(broker: RealBroker, heard: Map<string, string[]>): Promise<MqttClient> {
  const operator = await broker.connect("fleet");
  operator.on("error", () => undefined);
  operator.on("message", (from, payload) => heard.set(from, [...(heard.get(from) ?? []), String(payload)]));
  await operator.subscribeAsync("polaredge/v1/#", { qos: 1 });
  return operator;
}

type Check = (bench: Bench) => Promise<string>;

/** Without these there is no fleet. Each says what it found, or throws. */
const needed: Readonly<Record<string, Check>> = {
  "nobody without a certificate": async ({ broker }) => {
    const options = { rejectUnauthorized: false, reconnectPeriod: 0, protocolVersion: 4 } as const;
    const state = await connectAsync(broker.url, options, false).then(
      () => "in",
      () => "out",
    );
    if (state === "in") throw new Error("anybody is let in");
    return "refused";
  },
  "a goal is kept for the device": async (bench) => {
    await publish(bench, "job/desired", "goal", true);
    await until("the goal", () => bench.device.listener.jobs.includes("goal"));
    bench.device.cut();
    await until("it again", () => bench.device.listener.jobs.filter((job) => job === "goal").length === 2);
    return "retained";
  },
  "a device can't set goals": async (bench) => {
    const thief = await bench.broker.connect("pi-2");
    thief.on("error", () => undefined);
    const jobs = bench.device.listener.jobs.length;
    const told = thief.publishAsync(topic("job/desired"), "forged", { qos: 1 }).then(
      () => "dropped in silence",
      (error: { code?: number }) => `refused, reason ${error.code}`,
    );
    const found = await Promise.race([told, systemClock.sleep(1000).then(() => "no answer")]);
    await systemClock.sleep(300);
    await thief.endAsync(true);
    if (bench.device.listener.jobs.length > jobs) throw new Error("the forged goal arrived");
    return found;
  },
  "commands are answered": async (bench) => {
    await publish(bench, "cmd/ping", JSON.stringify({ id: "1", replyTo: "desk" }));
    await until("the answer", () => texts(bench, "rsp/desk").length === 1);
    return "answered";
  },
  "a model in blocks": async ({ broker, device }) => {
    const data = randomBytes(BYTES);
    const ref = { sha256: sha256(data), bytes: BYTES };
    const files = MemoryDisk.of([[`/repository/blobs/${ref.sha256}`, data]]);
    const server = await broker.connect("fleet");
    await Artifacts.serve(server, files, "/repository");
    const part = await new Blobs(new MemoryDisk(), "/blobs").part(ref);
    const began = performance.now();
    await device.transfers.fetch(part, { clock: systemClock, signal: AbortSignal.timeout(60_000) });
    const rate = BYTES / 1000 / (performance.now() - began);
    await server.endAsync(true);
    return `${rate.toFixed(0)} MB/s`;
  },
  "a restart loses no goal and no event": async (bench) => {
    const { broker, device } = bench;
    const jobs = device.listener.jobs.length;
    const event = { ts: 0, boot: "b", level: "info", code: "job/c", msg: "m" } as const;
    await broker.halt();
    for (let n = 1; n <= EVENTS; n++) await device.fleet.publish("event", { n, ...event });
    await broker.begin();
    const began = performance.now();
    bench.operator.end(true);
    bench.operator = await follow(broker, bench.heard);
    await until("the goal", () => device.listener.jobs.length > jobs, 30_000);
    const seconds = (performance.now() - began) / 1000;
    await until("the events", () => new Set(texts(bench, "event")).size === EVENTS, 30_000);
    return `all there, back in ${seconds.toFixed(1)} s`;
  },
  "the last will": async (bench) => {
    const before = texts(bench, "online").filter((text) => text === "offline").length;
    bench.device.cutForGood();
    await until("the will", () => texts(bench, "online").filter((text) => text === "offline").length > before, 20_000);
    return "heard";
  },
  "a rollout in three waves": async ({ kind }) => {
    const open = await RealBroker.startOpen(kind);
    try {
      return await rollOut(open, kind === nats ? 4 : 5);
    } finally {
      await open.stop();
    }
  },
};

async function rollOut(open: RealBroker, version: 4 | 5): Promise<string> {
  const fleet = await SimulatedFleet.open(open.openUrl, version, new MemoryDisk(), "/op");
  await fleet.join(COUNT, (await fleet.release("1.0.0")).target);
  const began = performance.now();
  await fleet.plan("good", "1.1.0", await fleet.release("1.1.0"));
  const { status } = await fleet.engine.drive("good");
  const seconds = (performance.now() - began) / 1000;
  const serving = fleet.serving("1.1.0");
  await fleet.end();
  if (status !== "done" || serving !== COUNT) throw new Error(`${status}, ${serving} of ${COUNT} devices`);
  return `${COUNT} devices in ${seconds.toFixed(0)} s`;
}

async function examine(kind: BrokerKind): Promise<{ readonly cells: readonly string[]; readonly good: boolean }> {
  const broker = await RealBroker.start(["fleet", "pi-1", "pi-2"], kind);
  const heard = new Map<string, string[]>();
  const operator = await follow(broker, heard);
  const bench: Bench = { kind, broker, heard, operator, device: await ConnectedDevice.start("pi-1", broker) };
  const cells = [bench.device.version === 5 ? "5" : "3.1.1"];
  let good = true;
  for (const check of Object.values(needed)) {
    const found = await check(bench).catch((error: unknown) => {
      good = false;
      return `FAILED: ${messageOf(error)}`;
    });
    cells.push(found);
  }
  await bench.device.end();
  bench.operator.end(true);
  await broker.stop();
  return { cells, good };
}

/** What comes with MQTT 5 only, and what the product does without it. */
const LACKING = [
  "3.1.1 only: the will is not delayed, so a short loss of the network shows as offline;",
  "commands while a device is away are kept as long as the broker likes (MQTT 5: 10 minutes);",
  "a publish outside its rights is not refused but dropped, so doctor can't see whether the ACL is in order;",
  "no shared subscriptions: two operators with `fleet artifacts` send each block twice.",
].join("\n  ");

const kinds = [mosquitto, nats].filter((kind) => isHere(kind));
const results: Awaited<ReturnType<typeof examine>>[] = [];
for (const kind of kinds) results.push(await examine(kind));
const columns = [{ title: "" }, ...kinds.map(({ program }) => ({ title: program }))];
const names = ["MQTT", ...Object.keys(needed)];
console.log(
  table(
    columns,
    names.map((name, row) => [name, ...results.map(({ cells }) => cells[row] ?? "")]),
  ),
);
console.log(`nats-server 2.9 lacks, with\n  ${LACKING}`);
const good = results.length === 2 && results.every((result) => result.good);
console.log(`brokers: ${kinds.map(({ program }) => program).join(", ")}; ${good ? "all held" : "FAILED"}`);
process.exit(good ? 0 : 1);
