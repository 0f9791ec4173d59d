import type { HostReading } from "./host.ts";

export type Status = "ok" | "degraded" | "fault";

/** The retained `state` of a device: flat, so that any dashboard can read it. Null is "not known". */
export interface Health extends HostReading {
  readonly v: 1;
  /** UTC, milliseconds. */
  readonly ts: number;
  readonly boot: string;
  /** Seconds since the agent began. */
  readonly up: number;
  readonly status: Status;
  readonly reasons: readonly string[];
  readonly model: string | null;
  readonly version: string | null;
  readonly unit: string | null;
  readonly inf_total: number;
  readonly inf_errors: number;
  readonly inf_per_s: number;
  readonly p50_ms: number | null;
  readonly p95_ms: number | null;
  readonly agreement_pct: number | null;
  readonly drift_residual: number | null;
  readonly noise_floor: number | null;
  readonly recal_age_s: number | null;
  /** Of the accelerator; null where there is none, or none has been asked yet. */
  readonly link_ok: boolean | null;
  readonly link_rtt_ms: number | null;
  readonly link_retransmits: number | null;
  /** Frames that were damaged, or none. */
  readonly link_bad_frames: number | null;
  readonly link_resets: number | null;
  readonly link_losses: number | null;
  readonly disk_free_mb: number | null;
  readonly update_state: string;
}

/** Why a device is not well. */
export type Reason =
  | "no-model"
  | "not-serving"
  | "state-not-saved"
  | "updates-frozen"
  | "drifting"
  | "drift-not-cured"
  | "link-lost"
  | "computing-digitally"
  | "not-finite";

const levels: Readonly<Record<Reason, Status>> = {
  "no-model": "degraded",
  "not-serving": "fault",
  "state-not-saved": "fault",
  "updates-frozen": "degraded",
  drifting: "degraded",
  "drift-not-cured": "degraded",
  "link-lost": "degraded",
  "computing-digitally": "degraded",
  "not-finite": "degraded",
};

/** The worst of them. */
export function statusOf(present: readonly Reason[]): Status {
  if (present.some((reason) => levels[reason] === "fault")) return "fault";
  return present.length > 0 ? "degraded" : "ok";
}

/** Four digits are plenty; null stands for what JSON can't hold. */
export function figure(value: number | undefined): number | null {
  return value !== undefined && Number.isFinite(value) ? Number(value.toPrecision(4)) : null;
}
