import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Activation, Install, Trial } from "../../runtime/fleet/jobs.ts";
import { type FakeModel, fakeRelease } from "../support/jobs.ts";
import { World } from "../support/world.ts";

const test = suite("terms");
const v1 = fakeRelease({ version: "1" });
const v2 = fakeRelease({ version: "2" });

/** A device that serves version 1. Its clock says 22:13:20 UTC. */
async function device(): Promise<World> {
  const world = new World();
  for (const release of [v1, v2]) world.offer(release);
  await world.start();
  world.desire(v1.job(1));
  assert.is(await world.finish({ seq: 1 }), "COMMITTED");
  return world;
}

async function waiting(activate: Activation, change: Partial<Install> = {}): Promise<World> {
  const world = await device();
  world.desire(v2.job(2, { activate, ...change }));
  await world.until("it waits", () => world.report.state === "WAITING");
  assert.equal([world.preparations.length, await world.answer(2)], [1, 2]);
  return world;
}

async function passes(world: World, minutes: number): Promise<void> {
  for (let half = 0; half < 2 * minutes; half++) {
    world.clock.advance(30_000);
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
  }
}

test("an update waits for its window, fetched and verified", async () => {
  for (const [from, to] of [
    ["22:30", "23:00"],
    ["22:30", "04:00"],
  ] as const) {
    const world = await waiting({ window: { from, to } });
    assert.match(String(world.report.message), /waits for its window, 22:30 to/);
    await passes(world, 15);
    assert.is(world.report.state, "WAITING");
    await passes(world, 5);
    assert.is(await world.finish({ seq: 2 }), "COMMITTED");
    await world.agent?.stop();
  }
});

test("a window that is open lets it pass at once, over midnight too", async () => {
  for (const [from, to] of [
    ["22:00", "23:00"],
    ["20:00", "04:00"],
  ] as const) {
    const world = await device();
    world.desire(v2.job(2, { activate: { window: { from, to } } }));
    assert.is(await world.finish({ seq: 2 }), "COMMITTED");
    await world.agent?.stop();
  }
});

test("an update that needs consent waits until somebody at the device agrees", async () => {
  const world = await waiting({ consent: true });
  assert.match(String(world.report.message), /waits for consent/);
  await passes(world, 60);
  assert.is(world.report.state, "WAITING");
  assert.equal(await world.agent?.command({ name: "approve", id: "" }), { ok: true, result: { id: "job-2" } });
  assert.is(await world.finish({ seq: 2 }), "COMMITTED");
  assert.not.ok((await world.agent?.command({ name: "approve", id: "" }))?.ok);
  await world.agent?.stop();
});

test("who waits for too long is too late", async () => {
  const world = await waiting({ consent: true }, { notAfter: 1_700_000_000_000 + 10 * 60_000 });
  await passes(world, 11);
  assert.is(await world.finish({ seq: 2 }), "EXPIRED");
  assert.equal([world.report.active?.version, await world.answer(2)], ["1", 2]);
  await world.agent?.stop();
});

test("a dry run says whether the release would do, and touches nothing", async () => {
  const world = await device();
  const before = world.agent?.serving.loaded;
  for (const [seq, model, state] of [
    [2, { version: "2" }, "CHECKED"],
    [3, { version: "3", wrongEvery: 3 }, "FAILED"],
  ] as readonly (readonly [number, FakeModel, string])[]) {
    const release = fakeRelease(model);
    world.offer(release);
    world.desire(release.job(seq, { action: "dryRun" }));
    assert.is(await world.finish({ seq }), state);
    assert.is(world.agent?.serving.loaded, before);
  }
  assert.equal([world.report.active?.version, world.report.previous], ["1", null]);
  await world.agent?.stop();
});

test("a model is removed if it is the one that was meant", async () => {
  const world = await device();
  const order = { v: 1, device: "pi-1", action: "remove" };
  world.desire({ ...order, jobId: "wrong", seq: 2, expectSha256: v2.job(1).model.sha256 });
  assert.is(await world.finish({ seq: 2 }), "FAILED");
  assert.is(await world.answer(2), 2);
  world.desire({ ...order, jobId: "right", seq: 3, expectSha256: v1.job(1).model.sha256 });
  assert.is(await world.finish({ seq: 3 }), "REMOVED");
  assert.equal([world.report.active, world.report.status, world.agent?.model()], [null, "SUCCEEDED", undefined]);
  await world.until("the store is empty", () => true);
  assert.equal(await world.store?.blobs.list(), []);
  await world.agent?.stop();
});

test("the rate that a job allows reaches the download", async () => {
  const world = await device();
  const { fetch } = await world.parts();
  const rates: unknown[] = [];
  await world.restart({
    fetch: (url, part, options) => {
      rates.push(options.maxKBps);
      return fetch(url, part, options);
    },
  });
  world.desire(v2.job(2, { download: { maxKBps: 50 } }));
  assert.is(await world.finish({ seq: 2 }), "COMMITTED");
  assert.ok(rates.length > 0 && rates.every((rate) => rate === 50));
  await world.agent?.stop();
});

const gates: readonly (readonly [string, FakeModel, Partial<Trial>, RegExp])[] = [
  [
    "is too far from its float answers",
    { version: "2", wrongEvery: 11 },
    { maxResidual: 0.1 },
    /residual of at most 0.1/,
  ],
  ["is too slow", { version: "2", takesMs: 40 }, { p95Ms: 20 }, /p95 latency of at most 20 ms, found 4/],
];
for (const [name, model, trial, message] of gates) {
  test(`a model that ${name} on trial goes back`, async () => {
    const world = await device();
    const release = fakeRelease(model);
    world.offer(release);
    const accept = { minAgreementPct: 50 };
    world.desire(release.job(2, { accept, trial: { passes: 2, seconds: 1, minInferences: 0, ...trial } }));
    assert.is(await world.finish({ seq: 2 }), "ROLLED_BACK");
    assert.match(String(world.report.message), message);
    assert.is(await world.answer(2), 2);
    await world.agent?.stop();
  });
}

test("a model that is too often in error, where only its users notice, goes back", async () => {
  const world = await device();
  const release = fakeRelease({ version: "2", breaksOn: 7 });
  world.offer(release);
  world.desire(release.job(2, { trial: { passes: 9, seconds: 5, minInferences: 0, maxErrorPct: 5 } }));
  await world.until("the trial", () => world.report.state === "TRIAL");
  for (let i = 0; i < 9; i++) await world.answer(7);
  assert.is(await world.finish({ seq: 2 }), "ROLLED_BACK");
  assert.match(String(world.report.message), /inferences that fail of at most 5 %/);
  await world.agent?.stop();
});

test.run();
