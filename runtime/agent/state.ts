import type { FailureCode } from "../base/failure.ts";
import type { Accept, Trial } from "../fleet/jobs.ts";
import type { BlobRef } from "../store/blobs.ts";

/** A model that this device has prepared, with all that it takes to prepare it again. */
export interface Deployed extends Release {
  /** Name of the record in the store. */
  readonly derived: string;
}

export interface Release {
  readonly name: string;
  readonly version: string;
  readonly model: BlobRef;
  readonly calibration: BlobRef;
  readonly probes: BlobRef;
  readonly accept: Accept;
  readonly trial: Trial;
  /** Where its products are computed: what its correction is fitted to. */
  readonly unit: Unit;
}

export type Unit = "digital" | "accelerator";

/** What the device is at work for: a job of the fleet, or its own upkeep (which has no `seq`). */
export interface Goal {
  readonly id: string;
  readonly action: Action;
  readonly seq?: number | undefined;
  readonly release: Release;
  /** Of a goal that needs no preparation: what is at hand. */
  readonly derived?: string | undefined;
  /** Of an install: where to fetch from, by digest. */
  readonly urls?: Readonly<Record<string, string>> | undefined;
}

export type Action = "install" | "recalibrate" | "rollback" | "fall-back";

export const stageNames = ["ACCEPTED", "DOWNLOADING", "VERIFIED", "PREPARING", "SELFTEST", "STAGED"] as const;
export type StageName = (typeof stageNames)[number];

export type Phase =
  | { readonly at: "IDLE" }
  | {
      readonly at: StageName;
      readonly goal: Goal;
      /** From SELFTEST on. */
      readonly derived?: string | undefined;
      /** What the serving model achieved on its probes when a recalibration began, in per cent. */
      readonly baselinePct?: number | undefined;
      /** Restarts within this stage. */
      readonly restarts: number;
    }
  | {
      readonly at: "TRIAL";
      readonly goal: Goal;
      readonly candidate: Deployed;
      readonly baselinePct?: number | undefined;
      readonly passes: number;
      readonly restarts: number;
    }
  | { readonly at: "ROLLING_BACK"; readonly goal: Goal; readonly code: FailureCode; readonly message: string };

export type End = "COMMITTED" | "REJECTED" | "EXPIRED" | "CANCELED" | "TIMED_OUT" | "FAILED" | "ROLLED_BACK";

/** How a goal ended. */
export interface Outcome {
  readonly id: string;
  readonly action: Action;
  readonly seq?: number | undefined;
  readonly state: End;
  /** Where it ended. */
  readonly step?: string | undefined;
  readonly code?: FailureCode | undefined;
  readonly message?: string | undefined;
}

/** A payload that was no job for this device. */
export interface Refusal {
  readonly hash: string;
  readonly code: FailureCode;
  readonly message: string;
}

/** All that the agent must not forget; saved before each effect. What it reports is a function of this alone. */
export interface State {
  readonly v: 1;
  /** Committed. It serves unless a trial is on. */
  readonly active?: Deployed | undefined;
  readonly previous?: Deployed | undefined;
  /** The active model could not be opened once, and was exchanged with the previous one. */
  readonly exchanged?: boolean | undefined;
  readonly phase: Phase;
  /** The newest job taken on. */
  readonly seen?: { readonly jobId: string; readonly seq: number; readonly hash: string } | undefined;
  readonly refused?: Refusal | undefined;
  /** Of the last job. */
  readonly outcome?: Outcome | undefined;
}

export const newDevice: State = { v: 1, phase: { at: "IDLE" } };

/** The model that is to answer in this state. */
export function servedBy(state: State): Deployed | undefined {
  return state.phase.at === "TRIAL" ? state.phase.candidate : state.active;
}
