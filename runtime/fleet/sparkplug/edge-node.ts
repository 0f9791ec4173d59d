import { connect, type MqttClient } from "mqtt";
import type { Clock } from "../../base/clock.ts";
import { messageOf } from "../../base/failure.ts";
import type { Log } from "../../base/log.ts";
import type { Health } from "../../health/health.ts";
import { type BrokerOptions, clientConnection } from "../connection.ts";
import type { Fleet, Outgoing } from "../topics.ts";
import { commandsIn, encodePayload, type Metric, type MetricType } from "./payload.ts";

export interface SparkplugOptions {
  /** Of edge nodes: a site, a line. */
  readonly group: string;
  /** Where the SCADA host listens; the fleet's own broker when absent. */
  readonly broker?: BrokerOptions | undefined;
}

export interface EdgeNodeParts {
  readonly device: string;
  readonly group: string;
  readonly broker: BrokerOptions;
  readonly clock: Clock;
  readonly log: Log;
  readonly random?: () => number;
}

/** Fields of `state` and their types; the place in this list is the alias. */
const fields: readonly (readonly [field: keyof Health, type: MetricType])[] = [
  ["status", "string"],
  ["reasons", "string"],
  ["model", "string"],
  ["version", "string"],
  ["unit", "string"],
  ["update_state", "string"],
  ["up", "uint64"],
  ["inf_total", "uint64"],
  ["inf_errors", "uint64"],
  ["inf_per_s", "double"],
  ["p50_ms", "double"],
  ["p95_ms", "double"],
  ["agreement_pct", "double"],
  ["drift_residual", "double"],
  ["noise_floor", "double"],
  ["recal_age_s", "double"],
  ["link_ok", "boolean"],
  ["rss_mb", "double"],
  ["cpu_pct", "double"],
  ["temp_c", "double"],
  ["disk_free_mb", "double"],
];
const REBIRTH = "Node Control/Rebirth";
const SEQUENCE = 256;
const RETRY_MS = 5_000;

/**
 * The device as an edge node of Sparkplug B 3.0: what it says in `state`, for SCADA hosts. Its death has to be the last
 * will, and a connection has one, so this is a second one. A birth names all metrics, data only those that changed, by
 * alias; a host that has missed something asks for another birth.
 */
export class EdgeNode {
  readonly #parts: EdgeNodeParts;
  readonly #closing = new AbortController();
  /** What the host knows, by alias. */
  readonly #told = new Map<number, Metric["value"]>();
  #done: Promise<void> | undefined;
  #health: Health | undefined;
  #client: MqttClient | undefined;
  /** Which death belongs to which birth. */
  #birth: number;
  #seq = 0;

  constructor(parts: EdgeNodeParts) {
    this.#parts = parts;
    // A death of the process before may still be on its way.
    this.#birth = Math.floor((parts.random ?? Math.random)() * SEQUENCE);
  }

  /** Connects with the first health there is. */
  publish(health: Health): void {
    this.#health = health;
    this.#done ??= this.#live();
    if (!this.#client) return;
    const changed = metricsOf(health).filter(({ alias, value }) => this.#told.get(alias) !== value);
    if (changed.length > 0)
      this.#say(
        "NDATA",
        changed.map(({ name, ...metric }) => metric),
      );
    for (const { alias, value } of changed) this.#told.set(alias, value);
  }

  /** Dies in order: a will is not sent for who says good-bye. */
  async close(): Promise<void> {
    const client = this.#client;
    if (client) {
      await client.publishAsync(this.#topic("NDEATH"), this.#death(), { qos: 1 }).catch(() => undefined);
      await client.endAsync().catch(() => undefined);
    }
    this.#closing.abort();
    await this.#done;
  }

  async #live(): Promise<void> {
    const { clock, log, broker, random = Math.random } = this.#parts;
    const { signal } = this.#closing;
    while (!signal.aborted) {
      const reason = await this.#session(signal);
      if (!signal.aborted) log.warn("no connection for Sparkplug", { url: broker.url, reason });
      await clock.sleep(RETRY_MS * (0.5 + random()), signal).catch(() => undefined);
    }
  }

  /** One connection. Why it ended. */
  #session(signal: AbortSignal): Promise<string> {
    const { broker, device } = this.#parts;
    this.#birth = (this.#birth + 1) % SEQUENCE;
    const client = connect(broker.url, {
      ...clientConnection(broker, 4),
      clientId: `${device}-sparkplug`,
      clean: true,
      will: { topic: this.#topic("NDEATH"), payload: this.#death(), qos: 1, retain: false },
    });
    let reason = "closed by the broker";
    const stop = (): void => void client.end(true);
    signal.addEventListener("abort", stop, { once: true });
    client.on("message", (_, payload) => {
      if (commandsIn(payload).includes(REBIRTH)) this.#beBorn();
    });
    client.on("connect", () => void this.#greet(client).catch(stop));
    client.on("error", (error) => {
      reason = messageOf(error);
      stop();
    });
    return new Promise((resolve) => {
      client.on("close", () => {
        this.#client = undefined;
        signal.removeEventListener("abort", stop);
        stop();
        resolve(reason);
      });
    });
  }

  async #greet(client: MqttClient): Promise<void> {
    await client.subscribeAsync(this.#topic("NCMD"), { qos: 1 });
    this.#client = client;
    this.#beBorn();
  }

  #beBorn(): void {
    if (!this.#health) return;
    const metrics = metricsOf(this.#health);
    this.#seq = 0;
    this.#say("NBIRTH", [this.#birthMetric(), { name: REBIRTH, type: "boolean", value: false }, ...metrics]);
    for (const { alias, value } of metrics) this.#told.set(alias, value);
  }

  #say(type: "NBIRTH" | "NDATA", metrics: readonly Metric[]): void {
    const payload = encodePayload({ timestamp: this.#parts.clock.now(), seq: this.#seq, metrics });
    this.#seq = (this.#seq + 1) % SEQUENCE;
    this.#client
      ?.publishAsync(this.#topic(type), Buffer.from(payload), { qos: 0 })
      .catch((error: unknown) => this.#parts.log.debug("not sent", { type, error }));
  }

  #death(): Buffer {
    return Buffer.from(encodePayload({ timestamp: this.#parts.clock.now(), metrics: [this.#birthMetric()] }));
  }

  #birthMetric(): Metric {
    return { name: "bdSeq", type: "uint64", value: this.#birth };
  }

  /** Sparkplug 3.0, section 4.1. */
  #topic(type: "NBIRTH" | "NDATA" | "NDEATH" | "NCMD"): string {
    return `spBv1.0/${this.#parts.group}/${type}/${this.#parts.device}`;
  }
}

function metricsOf(health: Health): readonly (Metric & { readonly name: string; readonly alias: number })[] {
  return fields.map(([name, type], alias) => {
    const value = health[name];
    return { name, alias, type, value: typeof value === "object" && value !== null ? value.join(" ") : value };
  });
}

/** A fleet that tells an edge node too how the device is. */
export function withEdgeNode(fleet: Fleet, node: EdgeNode): Fleet {
  return {
    publish: async (name, payload) => {
      if (name === "state") node.publish(payload as Outgoing["state"]);
      await fleet.publish(name, payload);
    },
    close: async () => {
      await Promise.all([fleet.close(), node.close()]);
    },
  };
}
