import fc from "fast-check";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { isFailure } from "../../runtime/base/failure.ts";
import type { Report } from "../../runtime/fleet/topics.ts";
import { Audit, type AuditHead } from "../../tools/fleet/audit.ts";
import {
  type DeviceView,
  decide,
  inOrder,
  type Rollout,
  type Standing,
  standingOf,
} from "../../tools/fleet/rollout.ts";
import { MemoryDisk } from "../support/memory-disk.ts";
import { rejection } from "../support/until.ts";

const test = suite("rollout");
const rollout: Rollout = {
  v: 1,
  id: "r",
  release: { target: "releases/kws-2.json", sha256: "t", bytes: 1 },
  model: "new",
  devices: Array.from({ length: 100 }, (_, i) => `d${i}`),
  waves: [1, 10, 100],
  soakSeconds: 0,
  maxInFlight: 20,
  abort: { pct: 10, min: 1, action: "pause" },
  status: "running",
};
const report = (change: Partial<Report>): Report =>
  ({ jobId: "r", status: "IN_PROGRESS", state: "TRIAL", active: { sha256: "old" }, ...change }) as Report;
const desired = { jobId: "r", hash: "h" };

const standings: readonly (readonly [string, Partial<DeviceView> | undefined, Standing])[] = [
  ["nothing is known of it", undefined, "waiting"],
  ["it has another goal", { online: true, desired: { jobId: "x", hash: "y" } }, "waiting"],
  ["it has the goal", { online: true, desired }, "under way"],
  ["it has the goal and is away", { online: false, desired }, "silent"],
  ["it is at work", { online: true, desired, report: report({}) }, "under way"],
  ["it was cut off at work", { online: false, desired, report: report({}) }, "silent"],
  ["it says failed", { online: true, desired, report: report({ status: "FAILED", state: "FAILED" }) }, "failed"],
  ["it went back", { online: true, report: report({ status: "FAILED", state: "ROLLED_BACK" }) }, "rolled back"],
  [
    "it refuses the goal",
    {
      online: true,
      desired,
      report: report({ jobId: "x", status: "REJECTED", refused: { hash: "h", code: "c", message: "m" } }),
    },
    "failed",
  ],
  [
    "it says it succeeded, but another model serves",
    { online: true, report: report({ status: "SUCCEEDED", state: "COMMITTED" }) },
    "failed",
  ],
  [
    "the model serves, by whatever order",
    { online: true, report: report({ jobId: "x", status: "IDLE", active: { sha256: "new" } as Report["active"] }) },
    "succeeded",
  ],
  [
    "the model serves, badly",
    { fault: true, report: report({ status: "SUCCEEDED", active: { sha256: "new" } as Report["active"] }) },
    "degraded",
  ],
];

test("who falls silent at work is lost; who was away before is only silent, and only time tells", () => {
  const now = 10_000_000;
  const after = (seconds: number, change: Partial<DeviceView>): Standing =>
    standingOf(rollout, { online: true, fault: false, desired, heardMs: now - 1000 * seconds, ...change }, now);
  assert.equal([after(800, {}), after(1000, {})], ["under way", "silent"]);
  assert.equal([after(800, { report: report({}) }), after(1000, { report: report({}) })], ["under way", "lost"]);
  assert.is(after(1000, { online: false, report: report({ state: "DOWNLOADING" }) }), "silent");
  assert.is(after(1000, { online: false, report: report({ state: "TRIAL" }) }), "lost");
  const views = new Map(inOrder(rollout).map((id) => [id, { online: false, fault: false, desired, heardMs: 0 }]));
  assert.is(decide(rollout, views, 2, now).abort, undefined);
  for (const [id, view] of views) views.set(id, { ...view, ...{ report: report({ state: "PREPARING" }) } });
  assert.match(String(decide(rollout, views, 2, now).abort), /100 of 100 devices are bad/);
});

for (const [name, view, expected] of standings) {
  test(`${name}: ${expected}`, () => {
    assert.is(standingOf(rollout, view && { online: false, fault: false, ...view }), expected);
  });
}

test("waves order the devices in an order of their own, and never more than may be in flight", () => {
  const views = new Map<string, DeviceView>();
  const order = inOrder(rollout);
  assert.equal(order, inOrder({ ...rollout, devices: [...rollout.devices].reverse() }));
  assert.not.equal(order, inOrder({ ...rollout, id: "s" }));
  assert.equal(decide(rollout, views, 0).orders, order.slice(0, 1));
  assert.equal(decide(rollout, views, 1).orders, order.slice(0, 10));
  assert.equal(decide(rollout, views, 2).orders, order.slice(0, 20));
  for (const device of order.slice(0, 15)) views.set(device, { online: true, fault: false, desired });
  assert.equal(decide(rollout, views, 2).orders, order.slice(15, 20));
});

test("devices that are away do not hold a wave up, devices at work do", () => {
  const [canary = ""] = inOrder(rollout);
  const ended = (view: Partial<DeviceView>): boolean =>
    decide(rollout, new Map([[canary, { online: false, fault: false, ...view }]]), 0).waveEnded;
  assert.equal([ended({ desired }), ended({ desired, online: true }), ended({})], [true, false, false]);
});

test("the abort rule needs both its share and its number", () => {
  const views = new Map<string, DeviceView>();
  const failed = { online: true, fault: false, report: report({ status: "FAILED", state: "FAILED" }) };
  const order = inOrder(rollout);
  for (const device of order.slice(0, 30)) views.set(device, { online: true, fault: false, desired });
  const strict = { ...rollout, abort: { pct: 10, min: 3, action: "pause" } as const };
  for (const [i, device] of order.slice(0, 3).entries()) {
    assert.is(decide(strict, views, 2).abort, undefined, `${i} failed`);
    views.set(device, failed);
  }
  assert.match(String(decide(strict, views, 2).abort), /3 of 30 devices are bad/);
});

test("property: whatever devices say, only members of the wave that wait are ordered", () => {
  const view = fc.record({
    online: fc.boolean(),
    fault: fc.boolean(),
    desired: fc.constantFrom(undefined, desired),
    report: fc.constantFrom(undefined, ...standings.map(([, known]) => known?.report)),
  });
  fc.assert(
    fc.property(fc.array(view, { minLength: 100, maxLength: 100 }), fc.integer({ min: 0, max: 2 }), (list, wave) => {
      const order = inOrder(rollout);
      const views = new Map(order.map((device, i) => [device, list[i]]));
      const { orders, counts } = decide(rollout, views, wave);
      const size = Math.ceil(rollout.waves[wave]);
      assert.ok(orders.every((device) => order.indexOf(device) < size));
      assert.ok(orders.every((device) => standingOf(rollout, views.get(device)) === "waiting"));
      assert.ok(orders.length + counts["under way"] <= Math.max(20, counts["under way"]));
    }),
  );
});

test("the audit log notices every line that was changed, taken out or put in", async () => {
  const files = new MemoryDisk();
  const audit = new Audit(files, "/op");
  for (const action of ["deploy", "paused", "done"]) await audit.note(action, { id: action }, 1);
  assert.equal(
    (await audit.read()).map(({ n, action }) => [n, action]),
    [
      [1, "deploy"],
      [2, "paused"],
      [3, "done"],
    ],
  );
  const text = new TextDecoder().decode(await files.read("/op/audit.jsonl"));
  const lines = text.split("\n");
  const forged = [
    "",
    lines[0] ?? "",
    [lines[0], lines[1], ""].join("\n"),
    text.replace("paused", "resume"),
    [lines[0], lines[2], ""].join("\n"),
    [lines[0], lines[0], lines[1], ""].join("\n"),
    `${text}{"n":4}\n`,
  ];
  for (const content of forged) {
    await files.write("/op/audit.jsonl", new TextEncoder().encode(content));
    assert.ok(isFailure(await rejection(audit.read()), "store/corrupt"));
  }
});

test("a log that was cut off together with its own head is found out by a head kept elsewhere", async () => {
  const files = new MemoryDisk();
  const heads: AuditHead[] = [];
  const audit = new Audit(files, "/op", async (head) => heads.push(head));
  for (const action of ["deploy", "paused"]) await audit.note(action, {}, 1);
  const before = files.copy();
  await audit.note("done", {}, 1);
  const shortened = new Audit(before, "/op");
  assert.is((await shortened.read()).length, 2);
  const error = await rejection(shortened.read(heads.slice(-1)));
  assert.ok(isFailure(error, "store/corrupt"));
  assert.match(error.message, /expected 3 lines, found 2/);
});

test("several processes write one log", async () => {
  const files = new MemoryDisk();
  const desks = Array.from({ length: 4 }, () => new Audit(files, "/op"));
  await Promise.all(desks.flatMap((desk, i) => [1, 2, 3].map((n) => desk.note(`${i}.${n}`, {}, n))));
  assert.is((await new Audit(files, "/op").read()).length, 12);
});

test.run();
