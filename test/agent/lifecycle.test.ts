import fc from "fast-check";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Event, Working } from "../../runtime/agent/events.ts";
import { stages, step } from "../../runtime/agent/lifecycle.ts";
import { reportOf } from "../../runtime/agent/report.ts";
import { type Deployed, newDevice, type State, servedBy, stageNames } from "../../runtime/agent/state.ts";
import type { Job } from "../../runtime/fleet/jobs.ts";
import { fakeRelease } from "../support/jobs.ts";

const test = suite("lifecycle");

const deployed = (version: string): Deployed => {
  const { model, calibration, probes, accept, trial } = fakeRelease({ version }).job(1);
  return { name: "kws", version, model, calibration, probes, accept, trial, unit: "digital", derived: `d${version}` };
};
const take = (wanted: Job): Event => ({ type: "job", job: wanted, hash: `h${wanted.seq}`, unit: "accelerator" });
const job = (seq: number, version: string): Event => take(fakeRelease({ version }).job(seq));
const careful = take(fakeRelease({ version: "2" }).job(1, { activate: { consent: true } }));
const dryRun = take(fakeRelease({ version: "2" }).job(1, { action: "dryRun" }));
const plain = (seq: number, action: "recalibrate" | "rollback" | "remove" | "none"): Event =>
  take({ v: 1, jobId: `job-${seq}`, seq, device: "pi-1", action });
const done = (at: Working, derived?: string): Event => ({ type: "done", at, ...(derived && { derived }) });
const failed = (at: Working): Event => ({ type: "failed", at, code: "store/no-space", message: "no space" });
const health = (ok: boolean, seconds = 9, inferences = 9): Event => ({ type: "health", ok, seconds, inferences });
const started: Event = { type: "started" };
const approved: Event = { type: "approved" };
const toTrial = (derived: string, ...between: Event[]): Event[] => [
  done("ACCEPTED"),
  done("DOWNLOADING"),
  done("VERIFIED"),
  ...between,
  done("PREPARING", derived),
  done("SELFTEST"),
  done("STAGED"),
];

const v1: State = { ...newDevice, active: deployed("1") };
const v2: State = { ...newDevice, active: deployed("2"), previous: deployed("1") };

/** Runs a story and tells it back as the phases and effects it went through. */
function story(from: State, ...events: Event[]): { path: string; state: State } {
  let state = from;
  const path: string[] = [];
  for (const event of events) {
    const next = step(state, event);
    state = next.state;
    const effects = next.effects.map((effect) => (effect.do === "work" ? effect.what : effect.do));
    path.push([state.phase.at, ...effects].join(" + "));
  }
  return { path: path.join(", "), state };
}

const stories: readonly {
  readonly name: string;
  readonly from: State;
  readonly events: readonly Event[];
  readonly path: string;
  readonly ends?: string;
  readonly serves?: string;
}[] = [
  {
    name: "an update is fetched, prepared, tried and committed",
    from: v1,
    events: [job(1, "2"), ...toTrial("d2"), health(true), health(true)],
    path:
      "ACCEPTED + admit, DOWNLOADING + download, VERIFIED + verify, PREPARING + prepare, SELFTEST + self-test, " +
      "STAGED + activate, TRIAL, TRIAL, IDLE + announce + collect",
    ends: "COMMITTED",
    serves: "2",
  },
  {
    name: "a trial takes its time",
    from: v1,
    events: [job(1, "2"), ...toTrial("d2"), health(true, 0), health(true, 0.5), health(true, 0.9), health(true, 1)],
    path: `${story(v1, job(1, "2"), ...toTrial("d2")).path}, TRIAL, TRIAL, TRIAL, IDLE + announce + collect`,
    serves: "2",
  },
  {
    name: "a trial that disappoints goes back",
    from: v1,
    events: [job(1, "2"), ...toTrial("d2"), health(true), health(false), done("ROLLING_BACK")],
    path:
      story(v1, job(1, "2"), ...toTrial("d2")).path +
      ", TRIAL, ROLLING_BACK + revert, IDLE + serve + announce + collect",
    ends: "ROLLED_BACK",
    serves: "1",
  },
  {
    name: "an update that needs consent waits for it, fetched and verified",
    from: v1,
    events: [careful, ...toTrial("d2").slice(0, 3), started, approved, done("WAITING"), approved],
    path:
      "ACCEPTED + admit, DOWNLOADING + download, VERIFIED + verify, WAITING + wait, WAITING + serve + wait, " +
      "WAITING + announce + wait, PREPARING + prepare, PREPARING",
    serves: "1",
  },
  {
    name: "a dry run ends after the self-test",
    from: v1,
    events: [dryRun, ...toTrial("d2")],
    path:
      "ACCEPTED + admit, DOWNLOADING + download, VERIFIED + verify, PREPARING + prepare, SELFTEST + self-test, " +
      "IDLE + announce + collect, IDLE",
    ends: "CHECKED",
    serves: "1",
  },
  {
    name: "what is removed does not serve, and can't come back by itself",
    from: v2,
    events: [plain(1, "remove"), plain(2, "rollback")],
    path: "IDLE + serve + announce + collect, IDLE",
    ends: "FAILED",
  },
  {
    name: "a newer job takes the place of one under way",
    from: v1,
    events: [job(1, "2"), done("ACCEPTED"), job(2, "3")],
    path: "ACCEPTED + admit, DOWNLOADING + download, ACCEPTED + abort + serve + announce + admit",
    ends: "ACCEPTED",
    serves: "1",
  },
  {
    name: "the same job again, or an older one, changes nothing",
    from: v1,
    events: [job(2, "2"), job(2, "2"), job(1, "3"), done("VERIFIED")],
    path: "ACCEPTED + admit, ACCEPTED, ACCEPTED, ACCEPTED",
    serves: "1",
  },
  {
    name: "a job can be withdrawn, even on trial",
    from: v1,
    events: [job(1, "2"), ...toTrial("d2"), { type: "withdrawn" }, done("ROLLING_BACK")],
    path: `${story(v1, job(1, "2"), ...toTrial("d2")).path}, ROLLING_BACK + revert, IDLE + serve + announce + collect`,
    ends: "ROLLED_BACK",
    serves: "1",
  },
  {
    name: "drift recalibrates in place, and the model before stays at hand",
    from: v2,
    events: [
      { type: "upkeep", action: "recalibrate", id: "u", unit: "digital", why: "drift" },
      done("PREPARING", "d2b"),
      done("SELFTEST"),
      done("STAGED"),
      health(true),
      health(true),
    ],
    path:
      "PREPARING + announce + prepare, SELFTEST + self-test, STAGED + activate, TRIAL, TRIAL, " +
      "IDLE + announce + collect",
    ends: "IDLE",
    serves: "2",
  },
  {
    name: "a fall-back opens what is prepared already",
    from: v2,
    events: [{ type: "upkeep", action: "fall-back", id: "u", unit: "digital", why: "drift" }, done("STAGED")],
    path: "STAGED + announce + activate, TRIAL",
    serves: "2",
  },
  {
    name: "upkeep waits for jobs, and for a model",
    from: newDevice,
    events: [{ type: "upkeep", action: "recalibrate", id: "u", unit: "digital", why: "drift" }],
    path: "IDLE",
  },
  {
    name: "a rollback tries and commits the previous model",
    from: v2,
    events: [plain(1, "rollback"), done("STAGED"), health(true), health(true)],
    path: "STAGED + activate, TRIAL, TRIAL, IDLE + announce + collect",
    ends: "COMMITTED",
    serves: "1",
  },
  {
    name: "a rollback with nothing to go back to fails",
    from: v1,
    events: [plain(1, "rollback")],
    path: "IDLE",
    ends: "FAILED",
    serves: "1",
  },
  {
    name: "no goal ends what is under way",
    from: v1,
    events: [job(1, "2"), done("ACCEPTED"), plain(2, "none")],
    path: "ACCEPTED + admit, DOWNLOADING + download, IDLE + abort + serve + announce + collect",
    ends: "IDLE",
    serves: "1",
  },
  {
    name: "an active model that can't be opened is exchanged with the previous one, once",
    from: v2,
    events: [
      { type: "unservable", derived: "d2", message: "corrupt" },
      { type: "unservable", derived: "d1", message: "corrupt" },
    ],
    path: "IDLE + announce + serve, IDLE + announce",
    serves: "1",
  },
  {
    name: "a trial that restarts the device too often goes back",
    from: v1,
    events: [job(1, "2"), ...toTrial("d2"), started, started, started],
    path: `${story(v1, job(1, "2"), ...toTrial("d2")).path}, TRIAL + serve, TRIAL + serve, ROLLING_BACK + serve + revert`,
    serves: "1",
  },
];

for (const { name, from, events, path, ends, serves } of stories) {
  test(name, () => {
    const told = story(from, ...events);
    assert.is(told.path, path);
    if (ends) assert.is(reportOf(told.state).state, ends);
    assert.is(servedBy(told.state)?.version, serves);
  });
}

test("whatever stage fails, is too slow or never ends, the old model serves on", () => {
  for (const [count, at] of stageNames.entries()) {
    const way = [careful, ...toTrial("d2", done("WAITING")).slice(0, count)];
    const { state } = story(v1, ...way, failed(at));
    assert.equal([state.phase.at, state.active, state.outcome?.step], ["IDLE", v1.active, at]);
    const late: Event = { type: "failed", at, code: "job/timed-out", message: "slow" };
    assert.is(story(v1, ...way, late).state.outcome?.state, "TIMED_OUT");
  }
});

test("after a restart every stage does its work again, until it has restarted the device too often", () => {
  for (const [count, at] of stageNames.entries()) {
    const { state } = story(v1, careful, ...toTrial("d2", done("WAITING")).slice(0, count));
    assert.is(story(state, started).path, `${at} + serve + ${stages[at].work}`);
    const { path } = story(state, ...Array.from({ length: 9 }, () => started));
    assert.is(path.includes("IDLE"), Number.isFinite(stages[at].restarts), at);
  }
});

test("a refused payload is told once, and does not touch the job under way", () => {
  const refused: Event = { type: "refused", hash: "x", code: "job/invalid", message: "bad" };
  const busy = story(v1, job(1, "2"), refused, refused);
  assert.is(busy.path, "ACCEPTED + admit, ACCEPTED + announce, ACCEPTED");
  assert.is(reportOf(busy.state).state, "ACCEPTED");
  assert.is(reportOf(story(v1, refused).state).status, "REJECTED");
  assert.is(reportOf(story(v1, { ...refused, code: "job/expired" }).state).state, "EXPIRED");
});

test("property: whatever happens, a committed model is never lost", () => {
  const at = fc.constantFrom<Working>(...stageNames, "ROLLING_BACK");
  const name = fc.constantFrom("d1", "d2", "d3", "d4");
  const version = fc.constantFrom("1", "2", "3", "4");
  const seq = fc.integer({ min: 1, max: 30 });
  const event = fc.oneof(
    { weight: 3, arbitrary: fc.tuple(seq, version).map(([n, v]) => job(n, v)) },
    fc
      .tuple(seq, fc.constantFrom<"recalibrate" | "rollback" | "none">("recalibrate", "rollback", "none"))
      .map(([n, action]) => plain(n, action)),
    { weight: 6, arbitrary: fc.tuple(at, name).map(([stage, derived]) => done(stage, derived)) },
    at.map(failed),
    fc.boolean().map((ok) => health(ok)),
    fc.constant(started),
    fc.constant(approved),
    fc.constant(careful),
    fc.constant<Event>({ type: "withdrawn" }),
    name.map((derived): Event => ({ type: "unservable", derived, message: "gone" })),
    fc.constant<Event>({ type: "upkeep", action: "recalibrate", id: "u", unit: "accelerator", why: "drift" }),
    fc.constant<Event>({ type: "upkeep", action: "fall-back", id: "u", unit: "digital", why: "drift" }),
  );
  fc.assert(
    fc.property(fc.array(event, { maxLength: 80 }), fc.boolean(), (events, fresh) => {
      let state: State = fresh ? newDevice : v2;
      for (const each of expand(events)) {
        const before = state;
        state = step(before, each).state;
        assertNothingLost(before, state);
      }
    }),
    { numRuns: 1000, seed: 7 },
  );
});

/** Random events seldom get a model as far as a trial, so some of them bring the whole way along. */
function expand(events: readonly Event[]): Event[] {
  return events.flatMap((event, i) =>
    event.type === "job" && i % 2 ? [event, ...toTrial(`d${i}`), health(true)] : [event],
  );
}

function assertNothingLost(before: State, after: State): void {
  const candidate = before.phase.at === "TRIAL" ? before.phase.candidate : undefined;
  const known = [before.active, before.previous, candidate];
  if (before.active) assert.ok(after.active, "there is an active model");
  if (after.active) assert.ok(known.includes(after.active), "it was active, at hand or on trial before");
  const replaced = before.active && before.active !== after.active && before.active !== after.previous;
  if (replaced) assert.is(after.active?.model.sha256, before.active?.model.sha256, "only by itself, prepared anew");
  assert.ok((after.seen?.seq ?? 0) >= (before.seen?.seq ?? 0), "the sequence never goes back");
}

test.run();
