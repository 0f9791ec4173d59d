import type { JobStatus, ModelName, Progress, Report } from "../fleet/topics.ts";
import type { Deployed, Goal, Outcome, State } from "./state.ts";

/** The coarse word for every fine one. */
const statuses: Readonly<Record<string, JobStatus>> = {
  IDLE: "IDLE",
  COMMITTED: "SUCCEEDED",
  CHECKED: "SUCCEEDED",
  REMOVED: "SUCCEEDED",
  REJECTED: "REJECTED",
  EXPIRED: "REJECTED",
  CANCELED: "CANCELED",
  TIMED_OUT: "TIMED_OUT",
  FAILED: "FAILED",
  ROLLED_BACK: "FAILED",
};

/** What `job/reported` says. The device's own upkeep is none of the fleet's jobs and does not show here. */
export function reportOf(state: State, progress?: Progress): Report {
  const { seen, refused } = state;
  const standing = standingOf(state);
  return {
    v: 1,
    jobId: seen?.jobId ?? null,
    seq: seen?.seq ?? null,
    hash: seen?.hash ?? null,
    action: standing.action ?? null,
    status: statuses[standing.state] ?? "IN_PROGRESS",
    state: standing.state,
    step: standing.step,
    code: standing.code,
    message: standing.message,
    progress: standing.running ? progress : undefined,
    active: nameOf(state.active),
    previous: nameOf(state.previous),
    refused,
  };
}

type Standing = Partial<Pick<Outcome, "step" | "code" | "message" | "action">> & {
  readonly state: string;
  readonly running?: boolean;
};

function standingOf({ phase, outcome, refused }: State): Standing {
  if (phase.at !== "IDLE" && phase.goal.seq !== undefined) {
    const message = phase.at === "WAITING" ? `waits for ${missing(phase)}` : undefined;
    return { state: phase.at, action: phase.goal.action, message, running: true };
  }
  if (refused) {
    const { code, message } = refused;
    return { state: code === "job/expired" ? "EXPIRED" : "REJECTED", code, message };
  }
  return outcome ?? { state: "IDLE" };
}

function missing({
  goal: { terms },
  approved,
}: {
  readonly goal: Goal;
  readonly approved?: boolean | undefined;
}): string {
  if (terms?.consent && !approved) return "consent";
  return `its window, ${terms?.window?.from} to ${terms?.window?.to} UTC`;
}

function nameOf(model: Deployed | undefined): ModelName | null {
  if (!model) return null;
  const { name, version, derived, unit } = model;
  return { name, version, sha256: model.model.sha256, derived, unit };
}

/** What the journal says of a step; undefined where it leads nowhere. */
export function journalEntry(before: State, after: State): Readonly<Record<string, unknown>> | undefined {
  const { phase, outcome, active } = after;
  const [from, to] = [before.phase.at, phase.at];
  if (from === to && outcome === before.outcome) return undefined;
  const goal = phase.at === "IDLE" ? (before.phase.at === "IDLE" ? outcome?.id : before.phase.goal.id) : phase.goal.id;
  const ended = outcome !== before.outcome ? { end: outcome?.state, code: outcome?.code } : {};
  return { goal, from, to, ...ended, active: active?.derived };
}
