import { suite } from "uvu";
import * as assert from "uvu/assert";
import { stageNames } from "../../runtime/agent/state.ts";
import { isFailure } from "../../runtime/base/failure.ts";
import { type FakeModel, fakeRelease, payload } from "../support/jobs.ts";
import { rejection } from "../support/until.ts";
import { World } from "../support/world.ts";

const test = suite("agent");
const v1 = fakeRelease({ version: "1" });
const v2 = fakeRelease({ version: "2" });

/** A device that serves version 1. */
async function device(world = new World()): Promise<World> {
  world.offer(v1);
  await world.start();
  world.desire(v1.job(1));
  assert.is(await world.finish({ seq: 1 }), "COMMITTED");
  return world;
}

test("a new device says so, and takes on its first model", async () => {
  const world = new World();
  await world.start();
  assert.is(world.report.state, "IDLE");
  assert.ok(isFailure(await rejection(world.answer(1)), "agent/not-serving"));
  await device(world);
  assert.is(await world.answer(2), 2);
  const { jobId, seq, status, active, previous } = world.report;
  assert.equal([jobId, seq, status, active?.version, previous], ["job-1", 1, "SUCCEEDED", "1", null]);
  assert.is(active?.sha256, v1.job(1).model.sha256);
  await world.agent?.stop();
});

test("a good update is committed, and the store keeps active and previous only", async () => {
  const world = await device();
  const states: string[] = [];
  for (const [seq, release] of [v2, fakeRelease({ version: "3" })].entries()) {
    world.offer(release);
    world.desire(release.job(seq + 2));
    assert.is(await world.finish({ seq: seq + 2 }), "COMMITTED");
  }
  states.push(...new Set(world.reports.filter(({ seq }) => seq === 2).map(({ state }) => state)));
  const way = ["ACCEPTED", "DOWNLOADING", "VERIFIED", "PREPARING", "SELFTEST", "STAGED", "TRIAL", "COMMITTED"];
  assert.equal(states, way);
  assert.equal([world.report.active?.version, world.report.previous?.version], ["3", "2"]);
  const { store } = await world.parts();
  assert.not.ok(await store.blobs.has(v1.job(1).model.sha256));
  assert.ok(await store.blobs.has(v2.job(2).model.sha256));
  await world.agent?.stop();
});

const bad: readonly {
  readonly name: string;
  readonly model: FakeModel;
  readonly trial?: { readonly minContinuityPct: number };
  readonly ends: string;
  readonly code: string;
  readonly step: string;
}[] = [
  {
    name: "can't be imported",
    model: { version: "2", preparation: "fails" },
    ends: "FAILED",
    code: "import/unsupported-operator",
    step: "PREPARING",
  },
  {
    name: "takes for ever to prepare",
    model: { version: "2", preparation: "hangs" },
    ends: "TIMED_OUT",
    code: "job/timed-out",
    step: "PREPARING",
  },
  {
    name: "lost too much when it was quantized",
    model: { version: "2", wrongEvery: 3 },
    ends: "FAILED",
    code: "job/self-test",
    step: "SELFTEST",
  },
  {
    name: "gives nonsense once it serves",
    model: { version: "2", breaksAfter: 12 },
    ends: "ROLLED_BACK",
    code: "job/trial",
    step: "ROLLING_BACK",
  },
  {
    name: "was trained wrongly, which only the model before can tell",
    model: { version: "2", shift: 1 },
    trial: { minContinuityPct: 50 },
    ends: "ROLLED_BACK",
    code: "job/trial",
    step: "ROLLING_BACK",
  },
];

for (const { name, model, trial, ends, code, step } of bad) {
  test(`an update that ${name} leaves the old model`, async () => {
    const world = await device();
    const release = fakeRelease(model);
    world.offer(release);
    world.desire(release.job(2, { trial: { passes: 2, seconds: 1, minInferences: 0, ...trial } }));
    await world.until("the end", () => world.reports.at(-1)?.code !== undefined, 30_000);
    assert.equal([world.report.state, world.report.code, world.report.step], [ends, code, step]);
    assert.equal([world.report.active?.version, await world.answer(2)], ["1", 2]);
    assert.ok(world.events.some((event) => event.code === code));
    await world.agent?.stop();
  });
}

test("what can't be fetched, or is not what was announced, is reported", async () => {
  const world = await device();
  world.desire(v2.job(2));
  assert.is(await world.finish({ seq: 2 }), "FAILED");
  assert.is(world.report.code, "download/failed");
  world.offer(v2);
  const { model } = v2.job(3);
  world.server.set(model.url, new Uint8Array(model.bytes));
  world.desire(v2.job(3));
  assert.is(await world.finish({ seq: 3 }), "FAILED");
  assert.is(world.report.code, "download/digest-mismatch");
  assert.is(await world.answer(1), 1);
  await world.agent?.stop();
});

test("damaged jobs are refused one by one, and the device serves on", async () => {
  const world = await device();
  const good = v2.job(5);
  const damaged: readonly (readonly [unknown, string])[] = [
    [new TextEncoder().encode("{"), "job/invalid"],
    [Uint8Array.of(0xff, 0xfe), "job/invalid"],
    [[], "job/invalid"],
    ["null", "job/invalid"],
    [{ ...good, v: 2 }, "job/invalid"],
    [{ ...good, action: "explode" }, "job/invalid"],
    [{ ...good, seq: -1 }, "job/invalid"],
    [{ ...good, seq: "5" }, "job/invalid"],
    [{ ...good, jobId: "../../etc" }, "job/invalid"],
    [{ ...good, surprise: true }, "job/invalid"],
    [{ ...good, probes: undefined }, "job/invalid"],
    [{ ...good, model: { ...good.model, url: "file:///etc/passwd" } }, "job/invalid"],
    [{ ...good, model: { ...good.model, bytes: 1e12 } }, "job/invalid"],
    [{ ...good, model: { ...good.model, sha256: "AA" } }, "job/invalid"],
    [{ ...good, accept: { minAgreementPct: 101 } }, "job/invalid"],
    [{ ...good, trial: { passes: 1e9 } }, "job/invalid"],
    [{ ...good, jobId: "x".repeat(20_000) }, "job/invalid"],
    [{ ...good, device: "pi-2" }, "job/wrong-device"],
    [{ ...good, seq: 1 }, "job/stale"],
    [{ ...good, notAfter: 1 }, "job/expired"],
  ];
  for (const [job, code] of damaged) {
    world.desire(job);
    await world.until(`${code} of ${JSON.stringify(job).slice(0, 60)}`, () => world.reports.at(-1)?.code === code);
    assert.is(world.report.state, code === "job/expired" ? "EXPIRED" : "REJECTED");
    assert.ok((world.report.message ?? "").length > 10);
    world.desire(new Uint8Array());
    await world.until("withdrawn", () => world.report.state === "COMMITTED");
  }
  assert.is(await world.answer(1), 1);
  world.offer(v2);
  world.desire(good);
  assert.is(await world.finish(good), "COMMITTED");
  await world.agent?.stop();
});

test("the job that came before a restart is not done twice", async () => {
  const world = await device();
  await world.restart();
  world.desire(v1.job(1));
  await world.until("a check", () => world.clock.uptimeMs() > 1000);
  assert.equal([world.report.state, world.preparations.length], ["COMMITTED", 1]);
  await world.agent?.stop();
});

test("a restart at any moment ends in the new model all the same", async () => {
  for (const at of [...stageNames, "TRIAL"]) {
    const world = await device();
    world.offer(v2);
    world.diesAt = at;
    world.desire(v2.job(2, at === "WAITING" ? { activate: { consent: true } } : {}));
    await world.until(`${at} is reached`, () => world.dead);
    const agent = await world.restart();
    assert.is(agent.state.phase.at, at);
    assert.is(agent.serving.loaded?.deployed.version, at === "TRIAL" ? "2" : "1");
    if (at === "WAITING") assert.ok((await agent.command({ name: "approve", id: "" })).ok);
    assert.is(await world.finish({ seq: 2 }), "COMMITTED", at);
    assert.equal([world.report.active?.version, world.report.previous?.version], ["2", "1"]);
    await agent.stop();
  }
});

test("a trial that takes the process down again and again is rolled back", async () => {
  const world = await device();
  world.offer(v2);
  world.desire(v2.job(2, { trial: { passes: 2, seconds: 1000, minInferences: 0 } }));
  await world.until("the trial", () => world.agent?.state.phase.at === "TRIAL");
  for (let i = 0; i < 3; i++) await world.restart();
  assert.is(await world.finish({ seq: 2 }), "ROLLED_BACK");
  assert.is(world.agent?.serving.loaded?.deployed.version, "1");
  await world.agent?.stop();
});

test("a rollback goes back to the previous model, and again", async () => {
  const world = await device();
  world.offer(v2);
  world.desire(v2.job(2));
  await world.finish({ seq: 2 });
  for (const [seq, version] of [
    [3, "1"],
    [4, "2"],
  ] as const) {
    world.desire({ v: 1, jobId: "back", seq, device: "pi-1", action: "rollback" });
    assert.is(await world.finish({ seq }), "COMMITTED");
    assert.is(world.report.active?.version, version);
  }
  await world.agent?.stop();
});

test("a damaged active model is replaced by the previous one at the start", async () => {
  const world = await device();
  world.offer(v2);
  world.desire(v2.job(2));
  await world.finish({ seq: 2 });
  const { active } = world.agent?.state ?? {};
  const { store, ...parts } = await world.parts();
  const { record } = await store.readDerived(active?.derived ?? "");
  await world.files.write(`/store/derived/${record.model}`, payload("torn"));
  await world.restart(parts);
  await world.until("the previous model", () => world.agent?.serving.loaded?.deployed.version === "1");
  assert.ok(world.events.some(({ code, level }) => code === "store/corrupt" && level === "error"));
  await world.agent?.stop();
});

test("a state that can't be saved changes nothing, and shows", async () => {
  const world = await device();
  world.offer(v2);
  const write = world.files.write.bind(world.files);
  world.files.write = async () => {
    throw new Error("input/output error");
  };
  world.desire(v2.job(2));
  await world.until("the fault", () => world.health.at(-1)?.reasons.includes("state-not-saved") === true);
  assert.equal([world.health.at(-1)?.status, world.report.seq, await world.answer(2)], ["fault", 1, 2]);
  world.files.write = write;
  world.desire(v2.job(2));
  assert.is(await world.finish({ seq: 2 }), "COMMITTED");
  await world.agent?.stop();
});

test("a full disk is found before the download", async () => {
  const world = await device();
  Object.assign(world.files, { free: 1000 });
  world.offer(v2);
  world.desire(v2.job(2));
  assert.is(await world.finish({ seq: 2 }), "FAILED");
  assert.equal([world.report.code, world.report.step], ["store/no-space", "ACCEPTED"]);
  await world.agent?.stop();
});

test("commands: ping answers, recalibrate uses what the device has seen", async () => {
  const world = new World();
  world.reservoirSamples = 4;
  await device(world);
  assert.ok((await world.agent?.command({ name: "ping", id: "1" }))?.ok);
  for (const input of [0, 1, 2, 0, 1]) await world.answer(input);
  const before = world.report.active?.derived;
  const reply = await world.agent?.command({ name: "recalibrate", id: "2" });
  assert.ok(reply?.ok);
  assert.not.ok((await world.agent?.command({ name: "recalibrate", id: "3" }))?.ok);
  await world.until("a new calibration", () => world.report.active?.derived !== before);
  assert.equal(world.preparations.at(-1), { version: "1", samples: 6, unit: "digital" });
  assert.equal([world.report.jobId, world.report.state], ["job-1", "COMMITTED"]);
  await world.agent?.stop();
});

test("health tells the model, its agreement and its inferences", async () => {
  const world = await device();
  const published = world.health.length;
  for (const input of [0, 1, 2]) await world.answer(input);
  await world.until("the next report", () => world.health.length > published + 1, 60_000);
  const health = world.health.at(-1);
  assert.equal(
    [health?.status, health?.model, health?.version, health?.unit, health?.agreement_pct, health?.noise_floor],
    ["ok", "kws", "1", "digital", 100, 0],
  );
  assert.ok((health?.inf_total ?? 0) >= 3);
  await world.agent?.stop();
});

test.run();
