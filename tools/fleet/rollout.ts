import type { Deployment } from "../../runtime/fleet/jobs.ts";
import type { Report } from "../../runtime/fleet/topics.ts";
import { sha256 } from "../../runtime/store/digest.ts";
import type { TargetRef } from "../../runtime/trust/trust.ts";

/** A release on its way to many devices; retained at the broker, so that any operator can go on with it. */
export interface Rollout {
  readonly v: 1;
  readonly id: string;
  readonly release: TargetRef;
  /** What else the orders say; a dry run ends on each device after its self-test. */
  readonly terms?: Pick<Deployment, "download" | "activate"> & { readonly action?: "install" | "dryRun" };
  /** SHA-256 of the model: what a device must report as active. */
  readonly model: string;
  readonly devices: readonly string[];
  /** Shares of the devices that have been ordered at the end of each wave, per cent, rising to 100. */
  readonly waves: readonly number[];
  readonly soakSeconds: number;
  readonly maxInFlight: number;
  /** Of a device that says nothing for so long, nothing is expected any more. */
  readonly silentSeconds?: number | undefined;
  /** So many waves may go on; the next one waits for an operator. All of them, when absent. */
  readonly approvedWaves?: number | undefined;
  readonly endedWaves?: number | undefined;
  readonly abort: AbortRule;
  readonly status: RolloutStatus;
  /** Why it has this status. */
  readonly reason?: string | undefined;
}

export type RolloutStatus = "running" | "paused" | "canceled" | "rolled-back" | "done";

/** When so many of the devices that were ordered are bad, the rollout stops. */
export interface AbortRule {
  readonly pct: number;
  readonly min: number;
  readonly action: "pause" | "cancel" | "rollback";
}

export interface DesiredGoal {
  readonly jobId: string;
  readonly hash: string;
  readonly action?: string;
  /** Of an install, as NAME-VERSION. */
  readonly release?: string;
}

/** What is known of a device from its retained topics. */
export interface DeviceView {
  readonly online: boolean;
  readonly report?: Report | undefined;
  /** Name and digest of the goal that is set. */
  readonly desired?: DesiredGoal | undefined;
  /** Worse than "ok", of its own health. */
  readonly fault: boolean;
  /** When it said something last, by the operator's clock. */
  readonly heardMs?: number | undefined;
}

/** Where a device stands in a rollout. Success is judged by the digest of the active model, never by a word. */
export type Standing =
  | "waiting"
  | "under way"
  | "succeeded"
  | "failed"
  | "rolled back"
  /** It has the order, and is away or says nothing. */
  | "silent"
  /** It fell silent at a moment when the release may be the reason. */
  | "lost"
  | "degraded";

/** These stop a rollout. */
export const bad: ReadonlySet<Standing> = new Set<Standing>(["failed", "rolled back", "lost", "degraded"]);
/** Nothing more is expected of them. */
const over = new Set<Standing>([...bad, "succeeded", "silent"]);
/** From here on a release has the device's processor, memory and users. */
const risky = new Set<string>(["PREPARING", "SELFTEST", "STAGED", "TRIAL", "ROLLING_BACK"]);
/** A device tells of its health each minute. */
const SILENT_SECONDS = 900;

/** @param nowMs UTC; without it nobody is lost */
export function standingOf(rollout: Rollout, device: DeviceView | undefined, nowMs = 0): Standing {
  const end = device && endIn(rollout, device);
  if (end || !device) return end ?? "waiting";
  const { report, desired, online, heardMs = nowMs } = device;
  const mine = report?.jobId === rollout.id;
  if (!mine && desired?.jobId !== rollout.id) return "waiting";
  const quiet = nowMs - heardMs > 1000 * (rollout.silentSeconds ?? SILENT_SECONDS);
  if (mine && quiet && risky.has(report.state)) return "lost";
  return online && !quiet ? "under way" : "silent";
}

function endIn({ id, model }: Rollout, { report, desired, fault }: DeviceView): Standing | undefined {
  if (!report) return undefined;
  const idle = report.status !== "IN_PROGRESS";
  if (idle && report.active?.sha256 === model) return fault ? "degraded" : "succeeded";
  if (report.jobId === id && report.state === "CHECKED") return "succeeded";
  if (report.jobId === id && report.state === "ROLLED_BACK") return "rolled back";
  if (report.jobId === id && idle) return "failed";
  return report.refused && report.refused.hash === desired?.hash ? "failed" : undefined;
}

/** The same order for everybody and for ever, and another one for each rollout, so that canaries take turns. */
export function inOrder({ id, devices }: Pick<Rollout, "id" | "devices">): readonly string[] {
  const keyed = devices.map((device) => [sha256(`${id} ${device}`), device] as const);
  return keyed.sort(([a], [b]) => (a < b ? -1 : 1)).map(([, device]) => device);
}

export interface Decision {
  readonly counts: Readonly<Record<Standing, number>>;
  /** From 0 on; the number of waves when all is done. */
  readonly wave: number;
  /** Devices to be ordered now. */
  readonly orders: readonly string[];
  /** Of the present wave: nothing more will come of it. */
  readonly waveEnded: boolean;
  /** Why the abort rule says stop. */
  readonly abort?: string | undefined;
}

/**
 * What to do next, from what the devices say alone. Devices that are away get their order with its wave, but nobody
 * waits for them.
 */
export function decide(
  rollout: Rollout,
  views: ReadonlyMap<string, DeviceView>,
  wave: number,
  nowMs?: number,
): Decision {
  const order = inOrder(rollout);
  const standings = order.map((device) => standingOf(rollout, views.get(device), nowMs));
  const counts: Record<Standing, number> = {
    waiting: 0,
    "under way": 0,
    succeeded: 0,
    failed: 0,
    "rolled back": 0,
    silent: 0,
    lost: 0,
    degraded: 0,
  };
  for (const standing of standings) counts[standing]++;
  const size = Math.max(1, Math.ceil((order.length * (rollout.waves[wave] ?? 100)) / 100));
  const members = standings.slice(0, size);
  const room = Math.max(0, rollout.maxInFlight - counts["under way"]);
  const waiting = order.slice(0, size).filter((_, at) => members[at] === "waiting");
  return {
    counts,
    wave,
    orders: waiting.slice(0, room),
    waveEnded: members.every((standing) => over.has(standing)),
    abort: abortReason(rollout, standings),
  };
}

function abortReason({ abort, id }: Rollout, standings: readonly Standing[]): string | undefined {
  const ordered = standings.filter((standing) => standing !== "waiting").length;
  const failed = standings.filter((standing) => bad.has(standing)).length;
  if (failed < abort.min || failed * 100 < abort.pct * ordered) return undefined;
  return `${id}: ${failed} of ${ordered} devices are bad, the limit is ${abort.min} and ${abort.pct} %`;
}
