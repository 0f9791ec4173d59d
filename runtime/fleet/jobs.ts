import * as z from "zod/mini";
import type { FailureCode } from "../base/failure.ts";
import { describeIssues } from "../base/schema.ts";
import type { TargetRef } from "../trust/trust.ts";

/** A file that the device fetches: where it is, and what it must be. */
export interface Source {
  readonly url: string;
  readonly sha256: string;
  readonly bytes: number;
}

/** What a prepared model must do on the probes before it may serve. */
export interface Accept {
  /** Agreement with the float model's answers, per cent of the probes. */
  readonly minAgreementPct: number;
  readonly p95Ms?: number | undefined;
}

/** How long a new model is on trial, and what it must show while it serves. All of it, before it is committed. */
export interface Trial {
  readonly passes: number;
  readonly seconds: number;
  readonly minInferences: number;
  /** Agreement with the float answers of the model it replaces, on that model's probes; not asked when absent. */
  readonly minContinuityPct?: number | undefined;
  /** Of all that it was asked: 95 % within so many milliseconds, errors (per cent), residual of the probes. */
  readonly p95Ms?: number | undefined;
  readonly maxErrorPct?: number | undefined;
  readonly maxResidual?: number | undefined;
}

/** When an install may begin to disturb the device: it is downloaded and verified before. */
export interface Activation {
  /** Each day, UTC; over midnight if `to` is before `from`. */
  readonly window?: { readonly from: string; readonly to: string } | undefined;
  /** Somebody at the device has to agree: the command `approve`. */
  readonly consent?: boolean | undefined;
}

interface Common {
  readonly v: 1;
  readonly jobId: string;
  readonly seq: number;
  readonly device: string;
  /** UTC, milliseconds. After that the job is not begun any more. */
  readonly notAfter?: number | undefined;
}

interface Fetching extends Common {
  /** A dry run ends after the self-test: nothing of what serves is touched. */
  readonly action: "install" | "dryRun";
  /** Thousands of bytes a second, at most. */
  readonly download?: { readonly maxKBps?: number | undefined } | undefined;
  readonly activate?: Activation | undefined;
}

export interface Install extends Fetching {
  readonly model: Source & { readonly name: string; readonly version: string };
  /** Inputs (.npy, count x input shape) to calibrate with, and others to judge by. */
  readonly calibration: Source;
  readonly probes: Source;
  readonly accept: Accept;
  readonly trial: Trial;
}

/** The same where trust is configured: the job names a signed release, and all else is in there. */
export interface Deployment extends Fetching {
  readonly release: TargetRef;
}

/** On what is installed already. */
export interface Recalibration extends Common {
  readonly action: "recalibrate";
}

export interface Rollback extends Common {
  readonly action: "rollback";
  /** Of the previous model; with another one there, the job fails. */
  readonly expectSha256?: string | undefined;
}

/** Takes the model away, and the one before. */
export interface Removal extends Common {
  readonly action: "remove";
  /** Of the active model; with another one there, the job fails. */
  readonly expectSha256?: string | undefined;
}

export interface NoGoal extends Common {
  readonly action: "none";
}

export type Job = Install | Deployment | Recalibration | Rollback | Removal | NoGoal;

/** MQTT topic levels, file names and NATS subjects can all hold it. */
export const deviceId: z.ZodMiniType<string> = z.string().check(z.regex(/^[A-Za-z0-9_-]{1,64}$/));

/** Bigger jobs are refused unread. */
export const MAX_JOB_BYTES: number = 16 * 1024;
const MAX_SOURCE_BYTES = 256 * 1024 * 1024;

const label = z.string().check(z.regex(/^[A-Za-z0-9][A-Za-z0-9._+-]{0,127}$/));
const percent = z.number().check(z.minimum(0), z.maximum(100));
const source = {
  url: z.url({ protocol: /^https?$/ }).check(z.maxLength(2048)),
  sha256: z.string().check(z.regex(/^[0-9a-f]{64}$/)),
  bytes: z.int().check(z.minimum(1), z.maximum(MAX_SOURCE_BYTES)),
};
const common = {
  v: z.literal(1),
  jobId: label,
  seq: z.int().check(z.minimum(1)),
  device: deviceId,
  notAfter: z.optional(z.int()),
};
const accept = z.strictObject({
  minAgreementPct: z._default(percent, 90),
  p95Ms: z.optional(z.number().check(z.positive())),
});
const trial = z.strictObject({
  passes: z._default(z.int().check(z.minimum(1), z.maximum(1000)), 3),
  seconds: z._default(z.number().check(z.minimum(0), z.maximum(7 * 86_400)), 30),
  minInferences: z._default(z.int().check(z.minimum(0)), 0),
  minContinuityPct: z.optional(percent),
  p95Ms: z.optional(z.number().check(z.positive())),
  maxErrorPct: z.optional(percent),
  maxResidual: z.optional(z.number().check(z.positive())),
});

const clockTime = z.string().check(z.regex(/^([01]\d|2[0-3]):[0-5]\d$/));
const fetching = {
  ...common,
  action: z.enum(["install", "dryRun"]),
  download: z.optional(z.strictObject({ maxKBps: z.optional(z.number().check(z.minimum(1))) })),
  activate: z.optional(
    z.strictObject({
      window: z.optional(z.strictObject({ from: clockTime, to: clockTime })),
      consent: z.optional(z.boolean()),
    }),
  ),
};

const install = z.strictObject({
  ...fetching,
  model: z.strictObject({ ...source, name: label, version: label }),
  calibration: z.strictObject(source),
  probes: z.strictObject(source),
  accept: z._default(accept, { minAgreementPct: 90 }),
  trial: z._default(trial, { passes: 3, seconds: 30, minInferences: 0 }),
});
const deployment = z.strictObject({
  ...fetching,
  release: z.strictObject({
    target: z.string().check(z.regex(/^releases\/[A-Za-z0-9][A-Za-z0-9._+-]{0,255}\.json$/)),
    sha256: source.sha256,
    bytes: source.bytes,
  }),
});
const others = [
  z.strictObject({ ...common, action: z.literal("recalibrate") }),
  z.strictObject({ ...common, action: z.literal("rollback"), expectSha256: z.optional(source.sha256) }),
  z.strictObject({ ...common, action: z.literal("remove"), expectSha256: z.optional(source.sha256) }),
  z.strictObject({ ...common, action: z.literal("none") }),
] as const;
const schemas: Readonly<Record<"signed" | "unsigned", z.ZodMiniType<Job>>> = {
  signed: z.discriminatedUnion("action", [deployment, ...others]),
  unsigned: z.discriminatedUnion("action", [install, ...others]),
};

export interface Seen {
  readonly seq: number;
  readonly hash: string;
}

/** What to make of a payload on `job/desired`. */
export type Reading =
  | { readonly kind: "job"; readonly job: Job; readonly hash: string }
  | { readonly kind: "withdrawn" }
  /** The very job that was taken on before: delivered again after a reconnect. */
  | { readonly kind: "repeated" }
  | { readonly kind: "refused"; readonly hash: string; readonly code: FailureCode; readonly message: string };

/** Who reads a job, and what of. */
export interface Reader {
  readonly device: string;
  /** The newest job taken on so far. */
  readonly seen: Seen | undefined;
  /** UTC. */
  readonly nowMs: number;
  /** Whether it came in an envelope that was signed. */
  readonly form: "signed" | "unsigned";
}

/**
 * Judges a job. `hash` is that of the whole payload of `job/desired`, which names it. Never throws: a job comes from
 * outside, and a bad one is an answer, not an accident.
 */
export function readJob(body: Uint8Array, hash: string, reader: Reader): Reading {
  const refused = (code: FailureCode, message: string): Reading => ({ kind: "refused", hash, code, message });
  const json = parseJson(body);
  if (json === undefined) return refused("job/invalid", "job: expected a JSON object, found something else");
  const parsed = schemas[reader.form].safeParse(json);
  if (!parsed.success) return refused("job/invalid", describeIssues("job", json, parsed.error.issues));
  return judge(parsed.data, hash, reader) ?? { kind: "job", job: parsed.data, hash };
}

function judge(job: Job, hash: string, { device, seen, nowMs }: Reader): Reading | undefined {
  const refused = (code: FailureCode, message: string): Reading => ({ kind: "refused", hash, code, message });
  if (job.device !== device) return refused("job/wrong-device", `job.device: expected ${device}, found ${job.device}`);
  if (seen?.hash === hash) return { kind: "repeated" };
  if (seen && job.seq <= seen.seq) {
    return refused("job/stale", `job.seq: expected more than ${seen.seq}, the newest so far; found ${job.seq}`);
  }
  if (job.notAfter !== undefined && nowMs > job.notAfter) {
    return refused(
      "job/expired",
      `job.notAfter: it was to be begun by ${when(job.notAfter)}, now it is ${when(nowMs)}`,
    );
  }
  return undefined;
}

function when(ms: number): string {
  return Math.abs(ms) <= 8.64e15 ? new Date(ms).toISOString() : String(ms);
}

function parseJson(payload: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(payload)) ?? undefined;
  } catch {
    return undefined;
  }
}
