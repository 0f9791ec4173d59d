import type { FailureCode } from "../base/failure.ts";
import type { Accept, Activation, Trial } from "../fleet/jobs.ts";
import type { BlobRef } from "../store/blobs.ts";
import type { Proof, Seen, TargetRef } from "../trust/trust.ts";

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
  /** Of a signed release. */
  readonly proof?: Proof | undefined;
}

export type Unit = "digital" | "accelerator";

/** What a goal is before its release is known. */
export interface Intent {
  readonly id: string;
  readonly action: Action;
  readonly seq?: number | undefined;
  readonly unit: Unit;
  readonly terms?: Terms | undefined;
  /** Of an install: the signed release, or what an unsigned job says itself. */
  readonly target?: TargetRef | undefined;
  readonly found?: Found | undefined;
}

/** A release, and where to fetch its files from, by digest. */
export interface Found {
  readonly release: Release;
  readonly urls: Readonly<Record<string, string>>;
}

/** What the device is at work for: a job of the fleet, or its own upkeep (which has no `seq`). */
export interface Goal {
  readonly id: string;
  readonly action: Action;
  readonly seq?: number | undefined;
  readonly release: Release;
  readonly terms?: Terms | undefined;
  /** Of a goal that needs no preparation: what is at hand. */
  readonly derived?: string | undefined;
  /** Of an install: where to fetch from, by digest. */
  readonly urls?: Readonly<Record<string, string>> | undefined;
}

/** What a job asks to be respected on the way. */
export interface Terms extends Activation {
  readonly maxKBps?: number | undefined;
  /** UTC, milliseconds. What waits until then is too late. */
  readonly notAfter?: number | undefined;
}

export type Action = "install" | "dryRun" | "recalibrate" | "rollback" | "fall-back";

export const stageNames = [
  "ACCEPTED",
  "DOWNLOADING",
  "VERIFIED",
  "WAITING",
  "PREPARING",
  "SELFTEST",
  "STAGED",
] as const;
export type StageName = (typeof stageNames)[number];

export type Phase =
  | { readonly at: "IDLE" }
  | { readonly at: "ACCEPTED"; readonly goal: Intent; readonly restarts: number }
  | {
      readonly at: Exclude<StageName, "ACCEPTED">;
      readonly goal: Goal;
      /** From SELFTEST on. */
      readonly derived?: string | undefined;
      /** What the serving model achieved on its probes when a recalibration began, in per cent. */
      readonly baselinePct?: number | undefined;
      /** Of WAITING: the consent has come. */
      readonly approved?: boolean | undefined;
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

export type End =
  | "COMMITTED"
  | "CHECKED"
  | "REMOVED"
  | "REJECTED"
  | "EXPIRED"
  | "CANCELED"
  | "TIMED_OUT"
  | "FAILED"
  | "ROLLED_BACK";

/** How a goal ended. */
export interface Outcome {
  readonly id: string;
  readonly action: Action | "remove";
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
  /** When the active model was committed, by the device's clock: UTC, milliseconds. */
  readonly committedMs?: number | undefined;
  /** The active model could not be opened once, and was exchanged with the previous one. */
  readonly exchanged?: boolean | undefined;
  readonly phase: Phase;
  /** Rollback index below which no release is let in any more. */
  readonly floor?: number | undefined;
  /** The newest metadata that was trusted. */
  readonly trusted?: Seen | undefined;
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

/** What the store must keep: all that the active model, the one before it and the one under way are made of. */
export function inUse({ active, previous, phase }: State): {
  blobs: ReadonlySet<string>;
  derived: ReadonlySet<string>;
} {
  const goal = phase.at === "IDLE" || phase.at === "ACCEPTED" ? undefined : phase.goal.release;
  const releases = [active, previous, goal].filter((model) => model !== undefined);
  const blobs = releases.flatMap(({ model, calibration, probes, proof }) => [
    ...[model, calibration, probes].map(({ sha256 }) => sha256),
    ...(proof ? [proof.sha256, proof.chain] : []),
  ]);
  const derived = [active?.derived, previous?.derived, "derived" in phase ? phase.derived : undefined];
  const candidate = phase.at === "TRIAL" ? [phase.candidate.derived] : [];
  return { blobs: new Set(blobs), derived: new Set([...derived, ...candidate].filter((name) => name !== undefined)) };
}
