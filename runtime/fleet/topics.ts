import * as z from "zod/mini";
import type { Health } from "../health/health.ts";
import type { LayerFit } from "../model/layer-fit.ts";
import type { BlockRequest } from "./files/block.ts";

/** The birth message: what this device is. */
export interface Info {
  readonly v: 1;
  readonly device: string;
  readonly boot: string;
  readonly runtime: string;
  readonly node: string;
  readonly profile: string;
  readonly accelerator: string | null;
  /** By which operators select devices. */
  readonly tags?: readonly string[] | undefined;
}

/** Something that happened once. `n` counts up within a boot, so that gaps show. */
export interface FleetEvent {
  readonly n: number;
  readonly ts: number;
  readonly boot: string;
  readonly level: "info" | "warning" | "error";
  readonly code: string;
  readonly msg: string;
  /** It waited until the broker could be reached. */
  readonly hist?: true | undefined;
}

/** A model as a report names it: by digest, which is what counts. */
export interface ModelName {
  readonly name: string;
  readonly version: string;
  readonly sha256: string;
  readonly derived: string;
  readonly unit: string;
}

/** The coarse words of AWS IoT Jobs. */
export type JobStatus = "IDLE" | "IN_PROGRESS" | "SUCCEEDED" | "FAILED" | "TIMED_OUT" | "REJECTED" | "CANCELED";

/** Where the newest job stands and what runs; a function of the device's durable state but for `progress`. */
export interface Report {
  readonly v: 1;
  readonly jobId: string | null;
  readonly seq: number | null;
  /** SHA-256 of the job's payload. */
  readonly hash: string | null;
  readonly action: string | null;
  readonly status: JobStatus;
  readonly state: string;
  /** Where it ended, if not where it should. */
  readonly step?: string | undefined;
  readonly code?: string | undefined;
  readonly message?: string | undefined;
  readonly progress?: Progress | undefined;
  readonly active: ModelName | null;
  readonly previous: ModelName | null;
  /** A later payload that was no job for this device. */
  readonly refused?: { readonly hash: string; readonly code: string; readonly message: string } | undefined;
}

export interface Progress {
  readonly stage: string;
  readonly done: number;
  readonly of: number;
}

/** A report as Home Assistant's update entity reads it. */
export interface UpdateView {
  readonly installed_version: string | null;
  /** While an update is under way, the job's name. */
  readonly latest_version: string | null;
  readonly title: string;
  readonly in_progress: boolean;
  readonly update_percentage: number | null;
}

/** The committed model, layer by layer, as it was measured when it was prepared. */
export interface ModelFit {
  readonly v: 1;
  /** Which one of `job/reported`: its `derived`. */
  readonly derived: string;
  readonly layers: readonly LayerFit[];
}

/** What the device remembers of its own, the oldest first; bounded. It outlives restarts. */
export interface History {
  readonly v: 1;
  readonly boot: string;
  /** Agreement that calls for a remedy, and agreement that ends it. */
  readonly thresholds: { readonly recalibrateBelowPct: number; readonly healthyAbovePct: number };
  /** UTC in milliseconds, agreement in per cent. */
  readonly readings: readonly (readonly [ts: number, agreementPct: number])[];
  readonly calibrations: readonly CalibrationEntry[];
  readonly events: readonly Omit<FleetEvent, "boot" | "hist">[];
}

/** A model that was fitted, tried and committed. */
export interface CalibrationEntry {
  readonly ts: number;
  readonly action: string;
  readonly version: string;
  readonly unit: string;
  /** Of what served before, where it was measured. */
  readonly beforePct: number | null;
  readonly afterPct: number | null;
}

/** What the device says, by topic. */
export interface Outgoing {
  readonly online: "online" | "offline";
  readonly info: Info;
  readonly state: Health;
  readonly event: FleetEvent;
  readonly layers: ModelFit;
  readonly history: History;
  readonly "job/reported": Report;
  readonly "job/update": UpdateView;
  readonly "xfer/req": BlockRequest;
}

interface TopicSpec {
  readonly from: "device" | "fleet";
  readonly retain: boolean;
  readonly qos: 0 | 1;
}

/** Every topic under `polaredge/v1/<device>/`, who speaks on it, and how. There is no other list. */
export type TopicName = keyof Outgoing | "job/desired" | "cmd/+" | "rsp/+" | "xfer/rsp/+";
export const topics: Readonly<Record<TopicName, TopicSpec>> = {
  online: { from: "device", retain: true, qos: 1 },
  info: { from: "device", retain: true, qos: 1 },
  state: { from: "device", retain: true, qos: 1 },
  event: { from: "device", retain: false, qos: 1 },
  layers: { from: "device", retain: true, qos: 1 },
  history: { from: "device", retain: true, qos: 1 },
  "job/reported": { from: "device", retain: true, qos: 1 },
  "job/update": { from: "device", retain: true, qos: 1 },
  /** A job (jobs.ts); empty for no goal. */
  "job/desired": { from: "fleet", retain: true, qos: 1 },
  /** A command (commands.ts), answered under `rsp/<client>`. */
  "cmd/+": { from: "fleet", retain: false, qos: 1 },
  "rsp/+": { from: "device", retain: false, qos: 1 },
  /** Blocks of files (block.ts). What gets lost is asked for again, so QoS 0 will do for the answers. */
  "xfer/req": { from: "device", retain: false, qos: 1 },
  "xfer/rsp/+": { from: "fleet", retain: false, qos: 0 },
};

export function topicOf(device: string, name: string): string {
  return `polaredge/v1/${device}/${name}`;
}

/** The other way round; undefined for a topic of somebody else. */
export function nameOf(device: string, topic: string): string | undefined {
  const prefix = topicOf(device, "");
  return topic.startsWith(prefix) ? topic.slice(prefix.length) : undefined;
}

/** `online` is a bare word, so that a last will and a human can both write it; everything else is JSON. */
export function encodePayload<T extends keyof Outgoing>(name: T, payload: Outgoing[T]): Uint8Array {
  return new TextEncoder().encode(name === "online" ? String(payload) : JSON.stringify(payload));
}

/** What the agent needs of a broker. `mqtt.ts` is the real one; tests record. */
export interface Fleet {
  /** Never fails: what can't be sent now is retained state, and is sent anew at the next connect, or counted as lost. */
  publish<T extends keyof Outgoing>(name: T, payload: Outgoing[T]): Promise<void>;
  close(): Promise<void>;
}

/** What the broker brings. The agent implements it. */
export interface FleetListener {
  /** After each connect, once the subscriptions stand. */
  connected(): void;
  desired(payload: Uint8Array): void;
  /** Somebody else has connected with this device's id. */
  takenOver(): void;
  command(command: Command): Promise<Reply>;
}

export const commandNames = ["ping", "recalibrate", "approve"] as const;
export interface Command {
  readonly name: (typeof commandNames)[number];
  readonly id: string;
}

/** What a command's sender gets back. */
export type Reply =
  | { readonly ok: true; readonly result: Readonly<Record<string, unknown>> }
  | { readonly ok: false; readonly code: string; readonly message: string };

export interface CommandBody {
  readonly id?: string | undefined;
  readonly replyTo?: string | undefined;
  /** UTC, milliseconds: what comes later has waited too long at the broker to be meant any more. */
  readonly notAfter?: number | undefined;
}

/** Body of a command. MQTT 5 says where to answer in its own properties, 3.1.1 says it here. Empty means `{}`. */
export const commandBody: z.ZodMiniType<CommandBody> = z.strictObject({
  id: z.optional(z.string().check(z.regex(/^[A-Za-z0-9_-]{1,64}$/))),
  replyTo: z.optional(z.string().check(z.regex(/^[A-Za-z0-9_-]{1,64}$/))),
  notAfter: z.optional(z.int()),
});
