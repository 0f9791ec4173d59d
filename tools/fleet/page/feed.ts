import type { FleetView, Heard } from "../view.ts";
import type { BrokerStatus } from "./broker-line.ts";
import {
  type DeviceReport,
  deviceReport,
  type RolloutReport,
  type RolloutRow,
  type Row,
  rolloutReport,
  rolloutRow,
  rowOf,
} from "./rows.ts";
import { Trail } from "./trail.ts";

/** What a view of the page hears. `snapshot` comes first and replaces all; `changes` name what is new. */
export type Message =
  | { readonly event: "snapshot" | "changes"; readonly data: FleetNews }
  | { readonly event: "device"; readonly data: DeviceReport | null }
  | { readonly event: "rollout"; readonly data: RolloutReport | null };

export interface FleetNews {
  readonly broker: BrokerStatus;
  readonly actions: boolean;
  readonly devices: readonly Row[];
  readonly rollouts: readonly RolloutRow[];
}

/** `fleet`, or one thing of it. */
export type Subject =
  | { readonly of: "fleet" }
  | { readonly of: "device"; readonly id: string }
  | { readonly of: "rollout"; readonly id: string };

interface Subscriber {
  readonly subject: Subject;
  readonly send: (message: Message) => void;
}

export interface FeedParts {
  readonly view: FleetView;
  readonly broker: { readonly status: BrokerStatus };
  readonly actions: boolean;
}

/** Changes wait so long for others to go with them: four pictures a second are enough. */
const TOGETHER_MS = 250;

/** Tells the page's views what they show, and again when it changes. */
export class Feed {
  readonly #parts: FeedParts;
  readonly #subscribers = new Set<Subscriber>();
  readonly #trails = new Map<string, Trail>();
  readonly #devices = new Set<string>();
  #timer: NodeJS.Timeout | undefined;

  constructor(parts: FeedParts) {
    this.#parts = parts;
    parts.view.listen((heard) => this.#hear(heard));
  }

  /** Returns how to end it. */
  subscribe(subject: Subject, send: Subscriber["send"]): () => void {
    const subscriber = { subject, send };
    this.#subscribers.add(subscriber);
    send(this.#first(subject));
    return () => this.#subscribers.delete(subscriber);
  }

  /** Something changed that no device said. */
  touch(): void {
    this.#timer ??= setTimeout(() => this.#flush(), TOGETHER_MS);
  }

  close(): void {
    clearTimeout(this.#timer);
  }

  #hear({ device, event }: Heard): void {
    if (device !== undefined) {
      this.#devices.add(device);
      this.#note(device, event);
    }
    this.touch();
  }

  #note(id: string, event: Heard["event"]): void {
    const trail = this.#trails.get(id) ?? new Trail();
    this.#trails.set(id, trail);
    const health = this.#parts.view.devices.get(id)?.health;
    if (event) trail.event(event);
    else if (health) trail.health(health);
  }

  #flush(): void {
    this.#timer = undefined;
    const changed = new Set(this.#devices);
    this.#devices.clear();
    let news: Message | undefined;
    for (const { subject, send } of this.#subscribers) {
      if (subject.of === "fleet") {
        news ??= { event: "changes", data: this.#news(changed) };
        send(news);
      } else if (subject.of === "rollout" || changed.has(subject.id)) send(this.#first(subject));
    }
  }

  #first(subject: Subject): Message {
    const { view } = this.#parts;
    if (subject.of === "fleet") return { event: "snapshot", data: this.#news(new Set(view.devices.keys())) };
    if (subject.of === "rollout") {
      const rollout = view.rollouts.get(subject.id);
      return { event: "rollout", data: rollout ? rolloutReport(rollout, view.devices) : null };
    }
    const device = view.devices.get(subject.id);
    return { event: "device", data: device ? deviceReport(device, this.#trails.get(subject.id)) : null };
  }

  #news(ids: ReadonlySet<string>): FleetNews {
    const { view, broker, actions } = this.#parts;
    const devices = [...ids].flatMap((id) => view.devices.get(id) ?? []);
    return {
      broker: broker.status,
      actions,
      devices: devices.map((device) => rowOf(device, this.#trails.get(device.id))),
      rollouts: [...view.rollouts.values()].map((rollout) => rolloutRow(rollout, view.devices)),
    };
  }
}
