import type { FailureCode } from "../base/failure.ts";
import type { Deployment, Install, Recalibration, Removal, Rollback } from "../fleet/jobs.ts";
import { announce, type Effect, type Event, type Step, type TrialReading, then, type Work } from "./events.ts";
import {
  type Action,
  type Deployed,
  type End,
  type Found,
  type Goal,
  type Intent,
  type Phase,
  type StageName,
  type State,
  servedBy,
  type Terms,
  type Unit,
} from "./state.ts";

/** The way of a model. `restarts`: a stage that takes the process down so often is given up. */
export const stages: Readonly<
  Record<StageName, { readonly work: Work; readonly leadsTo: StageName | "TRIAL"; readonly restarts: number }>
> = {
  ACCEPTED: { work: "admit", leadsTo: "DOWNLOADING", restarts: Number.POSITIVE_INFINITY },
  DOWNLOADING: { work: "download", leadsTo: "VERIFIED", restarts: Number.POSITIVE_INFINITY },
  VERIFIED: { work: "verify", leadsTo: "WAITING", restarts: Number.POSITIVE_INFINITY },
  WAITING: { work: "wait", leadsTo: "PREPARING", restarts: Number.POSITIVE_INFINITY },
  PREPARING: { work: "prepare", leadsTo: "SELFTEST", restarts: 3 },
  SELFTEST: { work: "self-test", leadsTo: "STAGED", restarts: 3 },
  STAGED: { work: "activate", leadsTo: "TRIAL", restarts: 3 },
};
const TRIAL_RESTARTS = 2;

type Fetching = "install" | "dryRun";

/** Where each goal that knows its release joins the way. */
const beginnings: Readonly<Record<Exclude<Action, Fetching>, Exclude<StageName, "ACCEPTED">>> = {
  recalibrate: "PREPARING",
  /** A prepared model holds its digital corrections too, so it is at hand. */
  "fall-back": "STAGED",
  rollback: "STAGED",
};

/**
 * The whole life of the models on a device. Pure: the agent saves the state, does the effects in order and feeds what
 * comes of them back. After a power cut it loads the state and sends "started". An event that a state does not expect
 * changes nothing, and only two events touch `active`: a trial that passed, and an active model that can't be opened.
 */
export function step(state: State, event: Event): Step {
  switch (event.type) {
    case "started":
      return started(state);
    case "job":
      return state.seen && event.job.seq <= state.seen.seq ? { state, effects: [] } : taken(state, event);
    case "withdrawn":
      return withdrawn(state);
    case "refused":
      return refused(state, event);
    case "trusted":
      return { state: { ...state, trusted: event.trusted }, effects: [] };
    case "approved":
      return approved(state);
    case "upkeep":
      return upkeep(state, event);
    case "done":
      return done(state, event);
    case "failed":
      return failed(state, event);
    case "health":
      return tried(state, event);
    case "unservable":
      return unservable(state, event);
  }
}

function started(state: State): Step {
  const { phase } = state;
  switch (phase.at) {
    case "IDLE":
      return { state, effects: [{ do: "serve" }, { do: "collect" }] };
    case "ROLLING_BACK":
      return { state, effects: [{ do: "serve" }, { do: "work", what: "revert" }] };
    case "TRIAL":
      if (phase.restarts >= TRIAL_RESTARTS) {
        return then([{ do: "serve" }], rollBack(state, phase, "job/trial", "it restarted too often on trial"));
      }
      return { state: { ...state, phase: { ...phase, restarts: phase.restarts + 1 } }, effects: [{ do: "serve" }] };
    default: {
      const { work, restarts } = stages[phase.at];
      if (phase.restarts >= restarts) return end(state, "FAILED", "job/impossible", "it restarted the agent too often");
      const again = { ...state, phase: { ...phase, restarts: phase.restarts + 1 } };
      return { state: again, effects: [{ do: "serve" }, { do: "work", what: work }] };
    }
  }
}

/** A newer job takes the place of an older one, at any stage. */
function taken(state: State, { job, hash, unit }: Extract<Event, { type: "job" }>): Step {
  const effects: Effect[] = state.phase.at === "IDLE" ? [] : [{ do: "abort" }, { do: "serve" }];
  if (isJob(state.phase))
    effects.push(announce("warning", "job/canceled", `${state.phase.goal.id}: ${job.jobId} came`));
  const seen = { jobId: job.jobId, seq: job.seq, hash };
  const next: State = { ...state, phase: { at: "IDLE" }, seen, refused: undefined, outcome: undefined };
  if (job.action === "none") return { state: next, effects: [...effects, { do: "collect" }] };
  if ("release" in job || "model" in job) {
    const phase: Phase = { at: "ACCEPTED", goal: intentOf(job, unit), restarts: 0 };
    return { state: { ...next, phase }, effects: [...effects, { do: "work", what: stages.ACCEPTED.work }] };
  }
  const goal = { id: job.jobId, seq: job.seq };
  const fault = faultOf(state, job);
  if (job.action === "remove" && !fault) return then(effects, removed(next, goal));
  const model = job.action === "rollback" ? state.previous : state.active && { ...state.active, unit };
  if (model && !fault && job.action !== "remove") {
    const derived = job.action === "rollback" ? model.derived : undefined;
    return then(effects, begin(next, job.action, { ...goal, release: model, derived }));
  }
  const outcome = { id: job.jobId, action: job.action, seq: job.seq, state: "FAILED" } as const;
  const { code = "job/impossible", message = "no model is installed" } = fault ?? {};
  return { state: { ...next, outcome: { ...outcome, code, message: `${job.action}: ${message}` } }, effects };
}

/** What was tried on the way of a dry run must not take the tiles from the model that serves. */
function intentOf(job: Install | Deployment, unit: Unit): Intent {
  const on = job.action === "dryRun" ? "digital" : unit;
  const known = "release" in job ? { target: job.release } : { found: foundIn(job, on) };
  const { maxKBps } = job.download ?? {};
  const terms: Terms = { maxKBps, notAfter: job.notAfter, ...(job.action === "install" && job.activate) };
  return { id: job.jobId, seq: job.seq, action: job.action, unit: on, terms, ...known };
}

/** Whoever wants to serve again gets a new release; the floor stays. */
function removed(state: State, { id, seq }: { readonly id: string; readonly seq: number }): Step {
  const { active, previous, exchanged, committedMs, ...rest } = state;
  const outcome = { id, action: "remove", seq, state: "REMOVED" } as const;
  return {
    state: { ...rest, outcome },
    effects: [{ do: "serve" }, announce("info", "job/removed", `${id}: no model serves any more`), { do: "collect" }],
  };
}

/** Why a model that is here is not the one to work on; undefined if nothing speaks against it. */
function faultOf(
  { active, previous, floor = 0 }: State,
  job: Recalibration | Rollback | Removal,
): { readonly code: FailureCode; readonly message: string } | undefined {
  if (job.action === "recalibrate") return undefined;
  const model = job.action === "remove" ? active : previous;
  if (!model && job.action === "rollback") return { code: "job/impossible", message: "there is no previous model" };
  const { expectSha256 = model?.model.sha256 } = job;
  if (expectSha256 !== model?.model.sha256) {
    return { code: "job/impossible", message: `expected ${expectSha256}, found ${model?.model.sha256}` };
  }
  if (!previous || job.action === "remove") return undefined;
  const index = previous.proof?.rollbackIndex ?? floor;
  if (index >= floor) return undefined;
  return { code: "trust/below-floor", message: `its rollback index is ${index}, the floor of this device ${floor}` };
}

function begin(state: State, action: keyof typeof beginnings, goal: Omit<Goal, "action">): Step {
  const at = beginnings[action];
  return {
    state: { ...state, phase: { at, goal: { ...goal, action }, derived: goal.derived, restarts: 0 } },
    effects: [{ do: "work", what: stages[at].work }],
  };
}

function withdrawn(state: State): Step {
  const next: State = { ...state, refused: undefined };
  if (!isJob(state.phase)) return { state: next, effects: [] };
  if (state.phase.at === "TRIAL") return rollBack(next, state.phase, "job/canceled", "the job was withdrawn on trial");
  if (state.phase.at === "ROLLING_BACK") return { state: next, effects: [] };
  return then([{ do: "abort" }], end(next, "CANCELED", "job/canceled", "the job was withdrawn"));
}

function refused(state: State, { hash, code, message }: Extract<Event, { type: "refused" }>): Step {
  if (state.refused?.hash === hash) return { state, effects: [] };
  return {
    state: { ...state, refused: { hash, code, message } },
    effects: [announce("warning", code, message)],
  };
}

/** Jobs of the fleet go first; the watch asks again. */
function upkeep(state: State, { action, id, unit, why }: Extract<Event, { type: "upkeep" }>): Step {
  if (state.phase.at !== "IDLE" || !state.active) return { state, effects: [] };
  const derived = action === "fall-back" ? state.active.derived : undefined;
  const next = begin(state, action, { id, release: { ...state.active, unit }, derived });
  return then([announce("info", `upkeep/${action}`, `${why} (${id})`)], next);
}

function done(state: State, event: Extract<Event, { type: "done" }>): Step {
  const { phase } = state;
  if (phase.at === "IDLE" || phase.at === "TRIAL" || phase.at !== event.at) return { state, effects: [] };
  if (phase.at === "ROLLING_BACK") return end(state, "ROLLED_BACK", phase.code, phase.message);
  if (phase.at === "ACCEPTED") return admitted(state, phase.goal, event);
  if (phase.at === "SELFTEST" && phase.goal.action === "dryRun") return end(state, "CHECKED");
  const leadsTo = afterStage(phase.at, phase.goal);
  const derived = event.derived ?? phase.derived;
  if (leadsTo !== "TRIAL" && leadsTo !== "ACCEPTED") {
    const baselinePct = event.baselinePct ?? phase.baselinePct;
    const next: State = { ...state, phase: { at: leadsTo, goal: phase.goal, derived, baselinePct, restarts: 0 } };
    return { state: next, effects: [{ do: "work", what: stages[leadsTo].work }] };
  }
  if (derived === undefined) return end(state, "FAILED", "job/impossible", "nothing was prepared");
  const candidate: Deployed = { ...phase.goal.release, derived };
  const { goal, baselinePct } = phase;
  const trial: Phase = { at: "TRIAL", goal, candidate, baselinePct, passes: 0, restarts: 0 };
  return { state: { ...state, phase: trial }, effects: [] };
}

/** Most jobs have nothing to wait for. */
function afterStage(at: Exclude<StageName, "ACCEPTED">, { terms }: Goal): (typeof stages)[StageName]["leadsTo"] {
  const { leadsTo } = stages[at];
  return leadsTo === "WAITING" && !terms?.window && !terms?.consent ? stages.WAITING.leadsTo : leadsTo;
}

function approved(state: State): Step {
  const { phase } = state;
  if (phase.at !== "WAITING") return { state, effects: [] };
  return {
    state: { ...state, phase: { ...phase, approved: true } },
    effects: [announce("info", "job/approved", phase.goal.id), { do: "work", what: stages.WAITING.work }],
  };
}

/** The release is known now, and the device lets it in. */
function admitted(state: State, intent: Intent, event: Extract<Event, { type: "done" }>): Step {
  const { found = intent.found, trusted } = event;
  if (!found) return end(state, "FAILED", "job/impossible", "no release was found");
  const { id, action, seq, terms } = intent;
  const goal: Goal = { id, action, seq, terms, ...found };
  const next: State = { ...state, trusted: trusted ?? state.trusted };
  return {
    state: { ...next, phase: { at: "DOWNLOADING", goal, restarts: 0 } },
    effects: [{ do: "work", what: stages.DOWNLOADING.work }],
  };
}

/** Whatever went wrong, the model that was committed serves on. */
function failed(state: State, { at, code, message }: Extract<Event, { type: "failed" }>): Step {
  const { phase } = state;
  if (phase.at !== at) return { state, effects: [] };
  if (phase.at === "ROLLING_BACK") return end(state, "ROLLED_BACK", phase.code, phase.message);
  return end(state, ends.get(code) ?? "FAILED", code, message);
}

const ends: ReadonlyMap<FailureCode, End> = new Map([
  ["job/timed-out", "TIMED_OUT"],
  ["job/expired", "EXPIRED"],
]);

function tried(state: State, reading: TrialReading): Step {
  const { phase } = state;
  if (phase.at !== "TRIAL") return { state, effects: [] };
  if (!reading.ok) return rollBack(state, phase, "job/trial", reading.reason ?? "the watch is not content");
  const { trial } = phase.candidate;
  const passes = phase.passes + 1;
  const proven =
    passes >= trial.passes && reading.seconds >= trial.seconds && reading.inferences >= trial.minInferences;
  if (!proven) return { state: { ...state, phase: { ...phase, passes } }, effects: [] };
  return end({ ...commit(state, phase.candidate), committedMs: reading.atMs }, "COMMITTED");
}

/** The model before stays at hand, unless it is the same one prepared differently: then the one before that does. */
function commit(state: State, candidate: Deployed): State {
  const same = state.active?.model.sha256 === candidate.model.sha256;
  const previous = same ? state.previous : state.active;
  const floor = Math.max(state.floor ?? 0, candidate.proof?.rollbackIndex ?? 0);
  return { ...state, active: candidate, previous, exchanged: undefined, ...(floor > 0 && { floor }) };
}

function unservable(state: State, { derived, message }: Extract<Event, { type: "unservable" }>): Step {
  const { phase, active, previous } = state;
  if (servedBy(state)?.derived !== derived) return { state, effects: [] };
  if (phase.at === "TRIAL") return rollBack(state, phase, "job/trial", message);
  const lost = announce("error", "store/corrupt", `${active?.name} ${active?.version} can't be served: ${message}`);
  if (!previous || state.exchanged) return { state, effects: [lost] };
  const exchanged: State = { ...state, active: previous, previous: active, exchanged: true, committedMs: undefined };
  return { state: exchanged, effects: [lost, { do: "serve" }] };
}

function rollBack(state: State, { goal }: Extract<Phase, { at: "TRIAL" }>, code: FailureCode, message: string): Step {
  return {
    state: { ...state, phase: { at: "ROLLING_BACK", goal, code, message } },
    effects: [{ do: "work", what: "revert" }],
  };
}

function end(state: State, how: End, code?: FailureCode, message?: string): Step {
  const { phase } = state;
  if (phase.at === "IDLE") return { state, effects: [] };
  const { id, action, seq } = phase.goal;
  const outcome = { id, action, seq, state: how, step: phase.at, code, message };
  const good = how === "COMMITTED" || how === "CHECKED";
  const [what, note] = seq === undefined ? [action, ` (${id})`] : [id, ""];
  const text = `${what}: ${how}${message ? `, ${message}` : ""}${note}`;
  const told = announce(good ? "info" : "warning", code ?? `job/${how.toLowerCase()}`, text);
  return {
    state: { ...state, phase: { at: "IDLE" }, outcome: seq === undefined ? state.outcome : outcome },
    effects: [...(good ? [] : [{ do: "serve" } as const]), told, { do: "collect" }],
  };
}

function isJob(phase: Phase): phase is Exclude<Phase, { at: "IDLE" }> {
  return phase.at !== "IDLE" && phase.goal.seq !== undefined;
}

function foundIn({ model, calibration, probes, accept, trial }: Install, unit: Unit): Found {
  const { name, version } = model;
  const ref = ({ sha256, bytes }: { sha256: string; bytes: number }) => ({ sha256, bytes });
  const files = { model: ref(model), calibration: ref(calibration), probes: ref(probes) };
  const urls = Object.fromEntries([model, calibration, probes].map(({ sha256, url }) => [sha256, url]));
  return { release: { name, version, ...files, accept, trial, unit }, urls };
}
