import type { CalibrationEntry, History, Info, ModelFit, ModelName, Report } from "../../../runtime/fleet/topics.ts";
import type { Health, Status } from "../../../runtime/health/health.ts";
import {
  type AbortRule,
  decide,
  inOrder,
  type Rollout,
  type RolloutStatus,
  type Standing,
  standingOf,
} from "../rollout.ts";
import { type Device, releaseIn } from "../view.ts";
import type { Trail } from "./trail.ts";

/** A device as one line of the fleet. */
export interface Row {
  readonly id: string;
  readonly online: boolean;
  /** Undefined: it has never said. */
  readonly status: Status | undefined;
  readonly reasons: readonly string[];
  readonly profile: string | undefined;
  readonly tags: readonly string[];
  /** What serves, as NAME-VERSION. */
  readonly release: string | undefined;
  readonly unit: string | undefined;
  /** What the fleet wants to serve, if it is something else. */
  readonly goal: string | undefined;
  readonly job: JobView | undefined;
  readonly agreementPct: number | undefined;
  readonly perSecond: number | undefined;
  /** Agreement of late, the oldest first, in per cent. */
  readonly spark: readonly number[];
}

export interface JobView {
  readonly id: string;
  readonly action: string | undefined;
  readonly status: string;
  readonly state: string;
  readonly step: string | undefined;
  readonly why: string | undefined;
  readonly progress: Report["progress"];
}

const SPARK = 32;

export function rowOf(device: Device, trail: Trail | undefined): Row {
  const { id, online, info, health, report } = device;
  const release = nameOf(report?.active);
  return {
    id,
    online,
    status: health?.status,
    reasons: health?.reasons ?? [],
    profile: info?.profile,
    tags: info?.tags ?? [],
    release,
    unit: health?.unit ?? undefined,
    goal: goalOf(device, release),
    job: jobOf(report),
    agreementPct: health?.agreement_pct ?? undefined,
    perSecond: health?.inf_per_s,
    spark: readingsOf(device, trail)
      .slice(-SPARK)
      .map(([, pct]) => Math.round(10 * pct) / 10),
  };
}

/** A goal counts until the device has done it, or has refused or failed it for good. */
function goalOf({ desired, report }: Device, release: string | undefined): string | undefined {
  if (!desired?.action) return undefined;
  const done = report?.hash === desired.hash && report.status !== "IN_PROGRESS";
  if (desired.release === undefined) return done ? undefined : desired.action;
  return desired.release === release ? undefined : desired.release;
}

function jobOf(report: Report | undefined): JobView | undefined {
  if (!report?.jobId) return undefined;
  const { jobId, action, status, state, step, code, message, progress, refused } = report;
  const why = message ?? refused?.message;
  return {
    id: jobId,
    action: action ?? undefined,
    status,
    state,
    step,
    why: why === undefined ? undefined : `${why} [${code ?? refused?.code}]`,
    progress,
  };
}

function nameOf(model: ModelName | null | undefined): string | undefined {
  return model ? `${model.name}-${model.version}` : undefined;
}

/** Everything about one device. */
export interface DeviceReport {
  readonly row: Row;
  readonly previous: string | undefined;
  readonly info: Info | undefined;
  readonly health: Health | undefined;
  readonly thresholds: History["thresholds"] | undefined;
  readonly readings: readonly (readonly [ts: number, agreementPct: number])[];
  readonly calibrations: readonly CalibrationEntry[];
  /** The newest first. */
  readonly events: History["events"];
  readonly layers: ModelFit["layers"];
  /** The layers were measured for the model before, or for the one that serves. */
  readonly layersAreOld: boolean;
}

export function deviceReport(device: Device, trail: Trail | undefined): DeviceReport {
  const { info, health, history, fit, report } = device;
  const old = history?.events ?? [];
  const known = new Set(old.map(({ ts, n }) => `${ts} ${n}`));
  const live = trail?.events.filter(({ ts, n }) => !known.has(`${ts} ${n}`)) ?? [];
  return {
    row: rowOf(device, trail),
    previous: nameOf(report?.previous),
    info,
    health,
    thresholds: history?.thresholds,
    readings: readingsOf(device, trail),
    calibrations: history?.calibrations ?? [],
    events: [...old, ...live].sort((a, b) => b.ts - a.ts),
    layers: fit?.layers ?? [],
    layersAreOld: fit !== undefined && fit.derived !== report?.active?.derived,
  };
}

/** What the device remembers, and before that what was seen here. */
function readingsOf({ history }: Device, trail: Trail | undefined): DeviceReport["readings"] {
  const own = history?.readings ?? [];
  const since = own[0]?.[0] ?? Number.POSITIVE_INFINITY;
  return [...(trail?.readings.filter(([ts]) => ts < since) ?? []), ...own];
}

/** A rollout and where its devices stand. */
export interface RolloutRow {
  readonly id: string;
  readonly release: string;
  readonly status: RolloutStatus;
  readonly reason: string | undefined;
  readonly counts: Readonly<Record<Standing, number>>;
  readonly total: number;
  readonly ordered: number;
  readonly bad: number;
  /** So many bad devices stop it, with as many ordered as now. */
  readonly limit: number;
  readonly abort: AbortRule;
  readonly waves: readonly { readonly pct: number; readonly devices: number; readonly ended: boolean }[];
  readonly soakSeconds: number;
  readonly maxInFlight: number;
}

export interface RolloutReport extends RolloutRow {
  /** In the order in which they get it. */
  readonly devices: readonly (readonly [id: string, standing: Standing])[];
}

export function rolloutReport(rollout: Rollout, devices: ReadonlyMap<string, Device>): RolloutReport {
  const { id, release, status, reason, abort, waves, soakSeconds, maxInFlight } = rollout;
  const nowMs = Date.now();
  const { counts } = decide(rollout, devices, waves.length - 1, nowMs);
  const standings = inOrder(rollout).map(
    (device) => [device, standingOf(rollout, devices.get(device), nowMs)] as const,
  );
  const total = standings.length;
  const ordered = total - counts.waiting;
  const waiting = new Set<Standing>(["waiting", "under way"]);
  return {
    id,
    release: releaseIn(release.target),
    status,
    reason,
    counts,
    total,
    ordered,
    bad: counts.failed + counts["rolled back"] + counts.lost + counts.degraded,
    limit: Math.max(abort.min, Math.ceil((abort.pct * ordered) / 100)),
    abort,
    waves: waves.map((pct) => {
      const size = Math.max(1, Math.ceil((total * pct) / 100));
      return { pct, devices: size, ended: standings.slice(0, size).every(([, standing]) => !waiting.has(standing)) };
    }),
    soakSeconds,
    maxInFlight,
    devices: standings,
  };
}

export function rolloutRow(rollout: Rollout, devices: ReadonlyMap<string, Device>): RolloutRow {
  const { devices: _, ...row } = rolloutReport(rollout, devices);
  return row;
}
