import type { FailureCode } from "../base/failure.ts";
import type { Job } from "../fleet/jobs.ts";
import type { Seen } from "../trust/trust.ts";
import type { Found, StageName, State, Unit } from "./state.ts";

/** What the agent feeds into `step`. */
export type Event =
  | { readonly type: "started" }
  | { readonly type: "job"; readonly job: Job; readonly hash: string; readonly unit: Unit }
  | { readonly type: "withdrawn" }
  | { readonly type: "refused"; readonly hash: string; readonly code: FailureCode; readonly message: string }
  /** The metadata was looked at: how new it is, and what time it is at least. */
  | { readonly type: "trusted"; readonly trusted: Seen }
  /** Somebody at the device agrees to what waits for that. */
  | { readonly type: "approved" }
  | {
      readonly type: "upkeep";
      readonly action: "recalibrate" | "fall-back";
      readonly id: string;
      readonly unit: Unit;
      /** For people. */
      readonly why: string;
    }
  | {
      readonly type: "done";
      readonly at: Working;
      /** Of ACCEPTED. */
      readonly found?: Found;
      readonly trusted?: Seen;
      /** Of PREPARING. */
      readonly derived?: string;
      readonly baselinePct?: number | undefined;
    }
  | { readonly type: "failed"; readonly at: Working; readonly code: FailureCode; readonly message: string }
  | ({ readonly type: "health" } & TrialReading)
  /** The model could not be opened, or died. */
  | { readonly type: "unservable"; readonly derived: string; readonly message: string };

/** What the watch saw of the model that serves, since it began to. */
export interface TrialReading {
  readonly ok: boolean;
  readonly reason?: string | undefined;
  readonly inferences: number;
  readonly seconds: number;
  /** UTC, milliseconds. */
  readonly atMs?: number | undefined;
}

export type Work = "admit" | "download" | "verify" | "wait" | "prepare" | "self-test" | "activate" | "revert";
export type Working = StageName | "ROLLING_BACK";

/** What `step` asks the agent to do. */
export type Effect =
  /** Begins work that ends in a `done` or `failed` event of that stage; whatever was at work before is aborted. */
  | { readonly do: "work"; readonly what: Work }
  | { readonly do: "abort" }
  /** Makes the model of this state (`servedBy`) answer. */
  | { readonly do: "serve" }
  | { readonly do: "announce"; readonly what: Announcement }
  /** Removes from the store what this state does not name. */
  | { readonly do: "collect" };

export interface Announcement {
  readonly level: "info" | "warning" | "error";
  readonly code: string;
  readonly message: string;
}

export interface Step {
  readonly state: State;
  readonly effects: readonly Effect[];
}

export function announce(level: Announcement["level"], code: string, message: string): Effect {
  return { do: "announce", what: { level, code, message } };
}

export function then(first: readonly Effect[], { state, effects }: Step): Step {
  return { state, effects: [...first, ...effects] };
}
