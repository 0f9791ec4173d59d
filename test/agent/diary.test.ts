import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Diary } from "../../runtime/agent/diary.ts";
import { encodePayload } from "../../runtime/fleet/topics.ts";
import { fakeRelease } from "../support/jobs.ts";
import { World } from "../support/world.ts";

const test = suite("diary");
const v1 = fakeRelease({ version: "1" });
const v2 = fakeRelease({ version: "2" });

/** A device that serves version 1. */
async function device(): Promise<World> {
  const world = new World();
  world.offer(v1);
  await world.start();
  world.desire(v1.job(1));
  assert.is(await world.finish({ seq: 1 }), "COMMITTED");
  return world;
}

test("what became of jobs is in the journal, and the age of the calibration outlives a restart", async () => {
  const world = await device();
  world.offer(v2);
  world.desire(v2.job(2));
  assert.is(await world.finish({ seq: 2 }), "COMMITTED");
  const lines = (await world.store?.journal.read()) as { goal: string; from: string; to: string; end?: string }[];
  const way = lines.filter(({ goal }) => goal === "job-2");
  assert.equal(way.map(({ to }) => to).slice(0, 3), ["ACCEPTED", "DOWNLOADING", "VERIFIED"]);
  assert.equal([way.at(-1)?.from, way.at(-1)?.to, way.at(-1)?.end], ["TRIAL", "IDLE", "COMMITTED"]);
  world.clock.advance(100_000);
  await world.restart();
  await world.until("health", () => (world.health.at(-1)?.recal_age_s ?? 0) >= 100);
  await world.agent?.stop();
});

test("what it tells of its past outlives a restart, and a crash but for the last minutes", async () => {
  const world = await device();
  await world.until("readings", () => (world.history?.readings.length ?? 0) > 3, 60_000);
  const before = world.history;
  await world.restart();
  await world.until("the past", () => world.history?.boot !== before?.boot);
  assert.equal(world.history?.readings.slice(0, 4), before?.readings.slice(0, 4));
  assert.equal(world.history?.calibrations, before?.calibrations);
  assert.is(before?.calibrations.length, 1);
  const readings = world.history?.readings.length ?? 0;
  const since = world.clock.now();
  await world.until("ten minutes", () => world.clock.now() > since + 620_000, 10_000);
  const kept = (await world.store?.diary.load()) as typeof before;
  assert.ok((kept?.readings.length ?? 0) > readings, "it is kept while it runs");
  await world.agent?.stop();
});

test("what it remembers is bounded", () => {
  const diary = new Diary("boot", { checkSeconds: 1, recalibrateBelowPct: 90, healthyAbovePct: 95 });
  const msg = "x".repeat(1000);
  for (let n = 1; n <= 1000; n++) {
    diary.reading(1_763_820_000_000 + n, 98.765432);
    diary.event({ n, ts: 1_763_820_000_000 + n, boot: "boot", level: "info", code: "upkeep/recalibrate", msg });
    diary.calibration({ ts: n, action: "recalibrate", version: "1", unit: "digital", beforePct: null, afterPct: 1 });
  }
  const { history } = diary;
  assert.equal([history.readings.at(-1), history.events.at(-1)?.n], [[1_763_820_001_000, 98.77], 1000]);
  const times = history.readings.map(([ts]) => ts - 1_763_820_000_000);
  assert.ok(times[0] === 1 && times.every((time, i) => i === 0 || time > times[i - 1]), "the oldest reach far back");
  assert.equal(
    times.slice(-40),
    Array.from({ length: 40 }, (_, i) => 961 + i),
  );
  const bytes = encodePayload("history", history).length;
  assert.ok(bytes > 10_000 && bytes < 24 * 1024, `${bytes} bytes`);
});

test.run();
