import type { MqttClient } from "mqtt";
import { Failure } from "../../runtime/base/failure.ts";
import type { FleetEvent, History, Info, ModelFit, Report } from "../../runtime/fleet/topics.ts";
import type { Health } from "../../runtime/health/health.ts";
import { sha256 } from "../../runtime/store/digest.ts";
import { parseEnvelope } from "../../runtime/trust/envelope.ts";
import { bad, type DeviceView, type Rollout, standingOf } from "./rollout.ts";

/** All that a device's retained topics say. */
export interface Device extends DeviceView {
  readonly id: string;
  readonly info?: Info | undefined;
  readonly health?: Health | undefined;
  readonly fit?: ModelFit | undefined;
  readonly history?: History | undefined;
}

/** What a message was about. */
export interface Heard {
  readonly device?: string | undefined;
  readonly rollout?: string | undefined;
  /** Something that happened; the view itself keeps none of it. */
  readonly event?: FleetEvent | undefined;
}

export const ROLLOUTS = "polaredge/fleet/rollouts/";
const own = ["online", "info", "state", "layers", "history", "job/reported", "job/desired"] as const;
/** Retained messages come at once; so long without any, and they are all here. */
const QUIET_MS = 300;

/** The fleet as the broker remembers it: nothing is kept anywhere else. */
export class FleetView {
  readonly devices: Map<string, Device> = new Map();
  readonly rollouts: Map<string, Rollout> = new Map();
  /** Messages that came. */
  messages = 0;
  #changed: () => void = () => undefined;
  readonly #listeners = new Set<(heard: Heard) => void>();

  /** Resolves when what is retained has come. */
  static async open(client: MqttClient): Promise<FleetView> {
    const view = new FleetView();
    await view.follow(client);
    for (let before = -1; before !== view.messages; ) {
      before = view.messages;
      await new Promise((resolve) => setTimeout(resolve, QUIET_MS));
    }
    return view;
  }

  /** Hears what comes from now on, events too if anybody listens to them. */
  async follow(client: MqttClient): Promise<void> {
    client.on("message", (topic, payload) => this.#hear(topic, payload));
    const names = this.#listeners.size > 0 ? [...own, "event"] : own;
    await client.subscribeAsync([...names.map((name) => `polaredge/v1/+/${name}`), `${ROLLOUTS}+`], { qos: 1 });
  }

  listen(listener: (heard: Heard) => void): void {
    this.#listeners.add(listener);
  }

  /** Resolves with the next message, or after a while. */
  change(atMostMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, atMostMs);
      this.#changed = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  #hear(topic: string, payload: Buffer): void {
    this.messages++;
    const rollout = topic.startsWith(ROLLOUTS) ? topic.slice(ROLLOUTS.length) : undefined;
    if (rollout !== undefined) this.#hearRollout(rollout, payload);
    const [, device, name = ""] = /^polaredge\/v1\/([^/]+)\/(.+)$/.exec(topic) ?? [];
    const event = name === "event" ? parsed<FleetEvent>(payload) : undefined;
    if (device !== undefined && own.some((known) => known === name)) this.#hearDevice(device, name, payload);
    this.#changed();
    for (const listener of this.#listeners) listener({ device, rollout, event });
  }

  #hearRollout(id: string, payload: Buffer): void {
    const rollout = parsed<Rollout>(payload);
    if (rollout) this.rollouts.set(id, rollout);
    else this.rollouts.delete(id);
  }

  #hearDevice(id: string, name: string, payload: Buffer): void {
    const device = this.devices.get(id) ?? { id, online: false, fault: false };
    const heard = name === "job/desired" ? {} : { heardMs: Date.now() };
    this.devices.set(id, { ...device, ...heard, ...said(name, payload) });
  }
}

function said(name: string, payload: Buffer): Partial<Device> {
  switch (name) {
    case "online":
      return { online: String(payload) === "online" };
    case "info":
      return { info: parsed<Info>(payload) };
    case "layers":
      return { fit: parsed<ModelFit>(payload) };
    case "history":
      return { history: parsed<History>(payload) };
    case "job/reported":
      return { report: parsed<Report>(payload) };
    case "state": {
      const health = parsed<Health>(payload);
      return { health, fault: health?.status === "fault" };
    }
    case "job/desired":
      return { desired: goalIn(payload) };
    default:
      return {};
  }
}

function parsed<T>(payload: Buffer): T | undefined {
  try {
    return (JSON.parse(String(payload)) as T) ?? undefined;
  } catch {
    return undefined;
  }
}

interface Goal {
  readonly jobId: string;
  readonly action: string;
  readonly release?: { readonly target?: string };
}

/** `releases/kws-1.4.0.json` is called kws-1.4.0. */
export function releaseIn(target: string): string {
  return target.replace(/^releases\//, "").replace(/\.json$/, "");
}

/** Nothing is believed of it, so no signature is checked. */
function goalIn(payload: Buffer): DeviceView["desired"] {
  try {
    const job = JSON.parse(Buffer.from(parseEnvelope(payload).payload, "base64").toString()) as Goal;
    const { jobId, action, release } = job;
    const target = release?.target === undefined ? undefined : releaseIn(release.target);
    return { jobId, hash: sha256(payload), action, ...(target !== undefined && { release: target }) };
  } catch {
    return undefined;
  }
}

/**
 * Devices by a selection: `all`, names with commas, `tag:`, `profile:`, `version:`, `status:`, or `failed:` and a
 * rollout, to try again.
 * @throws Failure input/missing when nobody is meant
 */
export function select(view: FleetView, selection: string): readonly string[] {
  const [kind, value] = selection.split(":", 2);
  const tests: Readonly<Record<string, ((device: Device) => boolean) | undefined>> = {
    all: () => true,
    tag: ({ info }) => info?.tags?.includes(value ?? "") === true,
    profile: ({ info }) => info?.profile === value,
    version: ({ report }) => report?.active?.version === value,
    status: ({ health }) => health?.status === value,
    failed: (device) => isBad(view.rollouts.get(value ?? ""), device),
  };
  const test = tests[kind];
  const named = selection.split(",");
  const found = test
    ? [...view.devices.values()].filter(test).map(({ id }) => id)
    : named.filter((id) => view.devices.has(id));
  const unknown = test ? [] : named.filter((id) => !view.devices.has(id));
  if (found.length === 0 || unknown.length > 0) {
    throw new Failure("input/missing", `--to ${selection}: no such device${unknown.length > 0 ? `: ${unknown}` : ""}`);
  }
  return found.sort();
}

function isBad(rollout: Rollout | undefined, device: Device): boolean {
  return rollout !== undefined && bad.has(standingOf(rollout, device, Date.now()));
}
