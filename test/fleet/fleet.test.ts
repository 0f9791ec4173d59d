import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { isFailure } from "../../runtime/base/failure.ts";
import { disk } from "../../runtime/store/disk.ts";
import {
  approve,
  audit,
  change,
  type DeployOptions,
  deploy,
  list,
  order,
  show,
  watch,
} from "../../tools/fleet/operations.ts";
import { Broker } from "../support/broker.ts";
import { SimulatedFleet } from "../support/simulated-fleet.ts";
import { rejection, until } from "../support/until.ts";

const test = suite("fleet");
const COUNT = 30;
const work = await mkdtemp(join(tmpdir(), "polaredge-fleet-"));
const config = join(work, "fleet.json");
const options: DeployOptions = {
  config,
  to: "all",
  waves: "5%,50%,100%",
  soak: 0,
  maxInFlight: 20,
  abortPct: 10,
  abortMin: 1,
  onAbort: "pause",
};
let broker: Broker;
let fleet: SimulatedFleet;

test.before(async () => {
  broker = await Broker.start("nobody");
  const folder = join(work, "operator");
  await disk.makeFolder(folder);
  fleet = await SimulatedFleet.open(broker.url, 4, disk, folder);
  await writeFile(config, JSON.stringify({ broker: { url: broker.url }, folder }));
  await fleet.join(COUNT, (await fleet.release("1.0.0")).target);
});
test.after(async () => {
  await fleet.end();
  await broker.stop();
  await rm(work, { recursive: true });
});

test("an operator sees the fleet as the broker remembers it", async () => {
  const devices = JSON.parse(await list({ config, json: true, to: "version:1.0.0" }));
  assert.is(devices.length, COUNT);
  assert.is(JSON.parse(await show("sim-3", { config })).info.profile, "simulated");
  assert.match(await list({ config, to: "sim-1,sim-2" }), /sim-1 +online +simulated +kws +1\.0\.0/);
  assert.ok(isFailure(await rejection(show("nobody", { config })), "input/missing"));
});

test("a good release reaches everybody, and is judged by what they report", async () => {
  await fleet.release("1.1.0");
  assert.match((await deploy("kws-1.1.0", { ...options, dryRun: true })).text, /wave 2: 50 %, 15 devices/);
  assert.is(fleet.serving("1.1.0"), 0);
  const { text, done } = await deploy("kws-1.1.0", options);
  assert.ok(done, text);
  assert.match(text, /done, 30 devices: 30 succeeded/);
  assert.is(fleet.serving("1.1.0"), COUNT);
});

test("a bad release is stopped by its canaries, which go back by themselves", async () => {
  await fleet.release("1.2.0", "bad");
  const { text, done } = await deploy("kws-1.2.0", options);
  assert.not.ok(done);
  assert.match(text, /paused .*bad/);
  await until("the way back", () => fleet.serving("1.1.0") === COUNT);
  const touched = fleet.devices.filter(({ state }) => state.seen?.jobId.startsWith("kws-1_2_0")).length;
  assert.ok(touched >= 1 && touched <= 2, `${touched} devices`);
  const rollouts = JSON.parse(await watch({ config, json: true }));
  const stopped = rollouts.find(({ status }: { status: string }) => status === "paused");
  const failed = JSON.parse(await list({ config, json: true, to: `failed:${stopped.rollout}` }));
  assert.is(failed.length, touched);
  assert.match(await change(stopped.rollout, "canceled", { config }), /canceled/);
});

test("what is rehearsed is prepared everywhere, and serves nowhere", async () => {
  await fleet.release("1.3.0");
  const { text, done } = await deploy("kws-1.3.0", { ...options, rehearse: true, waves: "100%" });
  assert.ok(done, text);
  assert.match(text, /30 succeeded/);
  assert.equal([fleet.serving("1.3.0"), fleet.serving("1.1.0")], [0, COUNT]);
});

test("a rollout that needs approval stops after each wave, and whoever resumes it approves", async () => {
  await fleet.release("1.3.1");
  const first = await deploy("kws-1.3.1", { ...options, approve: true, to: "sim-10,sim-11", waves: "50%,100%" });
  assert.not.ok(first.done);
  assert.match(first.text, /paused \(wave 1 of 2 has ended/);
  assert.is(fleet.serving("1.3.1"), 1);
  assert.match(await change(first.text.split(":")[0] ?? "", "running", { config }), /done, 2 devices: 2 succeeded/);
  await order("rollback", { config, to: "sim-10,sim-11" });
  await until("the way back", () => fleet.serving("1.3.1") === 0);
});

test("devices that need consent wait for it; an operator may give it", async () => {
  const rollout = deploy("kws-1.3.0", { ...options, consent: true, window: "00:00-23:59", to: "sim-7,sim-8" });
  const waiting = (): number => fleet.devices.filter(({ state }) => state.phase.at === "WAITING").length;
  await until("the first wave", () => waiting() === 1);
  assert.match(await approve({ config, to: "all" }), /told to 1 devices/);
  await until("the second wave", () => waiting() === 1 && fleet.serving("1.3.0") === 1);
  assert.match(await approve({ config, to: "sim-7,sim-8" }), /told to 1 devices/);
  assert.match((await rollout).text, /done, 2 devices: 2 succeeded/);
});

test("an order for a selection goes to these devices only", async () => {
  assert.match(await order("rollback", { config, to: "sim-4,sim-5" }), /2 devices/);
  await until("the rollback", () => fleet.serving("1.0.0") === 2);
  assert.equal(
    fleet.devices.filter(({ state }) => state.active?.version === "1.0.0").map(({ id }) => id),
    ["sim-4", "sim-5"],
  );
});

test("all of it is in the audit log", async () => {
  const actions = JSON.parse(await audit({ config, json: true })).map(({ action }: { action: string }) => action);
  const deployed = ["deploy", "done"];
  const stopped = ["deploy", "paused", "canceled"];
  const approved = ["deploy", "paused", "running", "done", "rollback"];
  assert.equal(actions, [
    ...deployed,
    ...stopped,
    ...deployed,
    ...approved,
    "deploy",
    "approve",
    "approve",
    "done",
    "rollback",
  ]);
});

test("two operators at once: each order arrives, each rollout ends, the log holds both", async () => {
  await fleet.release("1.4.0");
  const [left, right] = await Promise.all([
    deploy("kws-1.4.0", { ...options, to: "sim-12,sim-13", waves: "100%" }),
    deploy("kws-1.1.0", { ...options, to: "sim-4,sim-5", waves: "100%" }),
  ]);
  assert.equal([left.done, right.done], [true, true]);
  assert.equal([fleet.serving("1.4.0"), fleet.serving("1.0.0")], [2, 0]);
  const later = await deploy("kws-1.4.0", { ...options, approve: true, to: "sim-14,sim-15", waves: "50%,100%" });
  const id = later.text.split(":")[0] ?? "";
  const both = await Promise.all([change(id, "running", { config }), change(id, "running", { config })]);
  for (const text of both) assert.match(text, /done, 2 devices: 2 succeeded/);
  assert.match(await audit({ config }), /entries, none changed or missing$/);
});

test("what can't be is said before anything is ordered", async () => {
  const wrong: readonly (readonly [() => Promise<unknown>, string])[] = [
    [() => deploy("kws-9", options), "input/missing"],
    [() => deploy("kws-1.1.0", { ...options, waves: "50%,10%" }), "input/malformed"],
    [() => deploy("kws-1.1.0", { ...options, window: "tonight" }), "input/malformed"],
    [() => deploy("kws-1.1.0", { ...options, onAbort: "panic" }), "input/malformed"],
    [() => deploy("kws-1.1.0", { ...options, to: "tag:nobody" }), "input/missing"],
    [() => change("nothing", "paused", { config }), "input/missing"],
    [() => watch({ config: join(work, "none.json") }), "config/invalid"],
  ];
  for (const [action, code] of wrong) assert.ok(isFailure(await rejection(action()), code as "input/missing"), code);
});

test.run();
