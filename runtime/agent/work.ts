import * as effects from "./effects.ts";
import type { Event, Work } from "./events.ts";
import type { AgentParts } from "./ports.ts";
import type { Reservoir } from "./reservoir.ts";
import type { Serving } from "./serving.ts";
import type { State } from "./state.ts";

/** What work gives: all of a `done` event but where it was done. */
export type Done = Omit<Extract<Event, { type: "done" }>, "type" | "at">;

/** What work lies on. */
export interface Bench {
  /** When it began. */
  readonly state: State;
  readonly serving: Serving;
  readonly reservoir: Reservoir;
  /** Makes the model of the present state answer. */
  serve(): Promise<void>;
  /** Told how a new prepared model came out. */
  prepared(derived: string, fit: effects.Fit): void;
}

/** How long each kind of work may take, in seconds. A timer of Node holds 24 days at most. */
const limits: Readonly<Record<Exclude<Work, "prepare">, number>> = {
  admit: 60,
  download: 6 * 3600,
  verify: 300,
  wait: 14 * 86_400,
  "self-test": 600,
  activate: 300,
  revert: 300,
};

/** Preparing may take what the profile says. */
export function secondsFor(what: Work, { calibration }: Pick<AgentParts["profile"], "calibration">): number {
  return what === "prepare" ? calibration.maxSeconds : limits[what];
}

/** @throws Failure of any area: how the work ended */
export async function perform(what: Work, site: effects.Site, bench: Bench): Promise<Done> {
  const { phase } = bench.state;
  if (phase.at === "IDLE") return {};
  if (phase.at === "ACCEPTED") return effects.admit(site, phase.goal, bench.state);
  const { derived = "", baselinePct } = "derived" in phase ? phase : {};
  const work: effects.Work = { ...site, goal: phase.goal };
  switch (what) {
    case "admit":
      return {};
    case "download":
      await effects.downloadAll(work);
      return {};
    case "verify":
      await effects.verify(work);
      return {};
    case "wait":
      await effects.wait(work, "approved" in phase && phase.approved === true);
      return {};
    case "prepare":
      return prepare(work, bench);
    case "self-test":
      await effects.selfTest(work, derived, baselinePct);
      return {};
    case "activate":
      return activate(work, derived, bench);
    case "revert":
      await bench.serve();
      return {};
  }
}

/** Nothing may come between the question whether this is still wanted and the exchange. */
async function activate({ parts, goal, signal }: effects.Work, derived: string, { serving }: Bench): Promise<Done> {
  const loaded = await effects.load(parts, { ...goal.release, derived });
  signal.throwIfAborted();
  serving.exchange(loaded);
  return {};
}

/** Upkeep must not make worse what serves now, so that is measured first. */
async function prepare(work: effects.Work, { state, serving, reservoir, prepared }: Bench): Promise<Done> {
  const upkeep = work.goal.action === "recalibrate";
  const now = upkeep ? await effects.measure(serving, work.parts.clock.uptimeMs) : undefined;
  const { derived, fit } = await effects.prepare(work, reservoir, state.active);
  if (fit) prepared(derived, fit);
  return { derived, baselinePct: now?.agreementPct };
}
