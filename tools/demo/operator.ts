import { connectAsync, type MqttClient } from "mqtt";
import { Failure } from "../../runtime/base/failure.ts";
import { type FleetEvent, nameOf, type Report, topicOf } from "../../runtime/fleet/topics.ts";
import type { Health } from "../../runtime/health/health.ts";

type Job = Readonly<Record<string, unknown>>;

/** Somebody at the broker who tells one device what to do and hears what it says. */
export class Operator {
  readonly events: FleetEvent[] = [];
  online: string | undefined;
  report: Report | undefined;
  health: Health | undefined;
  readonly #client: MqttClient;
  readonly #device: string;
  readonly #waiting = new Set<() => void>();
  #seq = 0;

  private constructor(client: MqttClient, device: string) {
    this.#client = client;
    this.#device = device;
    client.on("message", (topic, payload) => this.#hear(nameOf(device, topic), payload.toString()));
  }

  static async connect(url: string, device: string): Promise<Operator> {
    const client = await connectAsync(url, { protocolVersion: 4 });
    const operator = new Operator(client, device);
    await client.subscribeAsync(topicOf(device, "#"), { qos: 1 });
    return operator;
  }

  /** Gives the device a goal in an envelope that `sign` makes; its number within the fleet is counted here. */
  async order(job: Readonly<Record<string, unknown>>, sign: (job: Job) => Uint8Array): Promise<number> {
    this.#seq++;
    const payload = Buffer.from(sign({ v: 1, seq: this.#seq, device: this.#device, ...job }));
    await this.#client.publishAsync(topicOf(this.#device, "job/desired"), payload, { qos: 1, retain: true });
    return this.#seq;
  }

  /**
   * Resolves with the first answer of `look` that is not undefined; looked at after every message.
   * @throws Failure fleet/unreachable after `seconds`
   */
  async until<T>(what: string, seconds: number, look: () => T | undefined): Promise<T> {
    const deadline = performance.now() + seconds * 1000;
    for (;;) {
      const seen = look();
      if (seen !== undefined) return seen;
      if (performance.now() > deadline) {
        throw new Failure("fleet/unreachable", `waited ${seconds} s for ${what}; the device says ${this.#said()}`);
      }
      await this.#nextMessage(500);
    }
  }

  async disconnect(): Promise<void> {
    await this.#client.endAsync(true);
  }

  #hear(name: string | undefined, text: string): void {
    if (name === "online") this.online = text;
    if (name === "event") this.events.push(JSON.parse(text));
    if (name === "job/reported") this.report = JSON.parse(text);
    if (name === "state") this.health = JSON.parse(text);
    for (const wake of this.#waiting) wake();
  }

  #nextMessage(atMostMs: number): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(wake);
        resolve();
      };
      const timer = setTimeout(wake, atMostMs);
      this.#waiting.add(wake);
    });
  }

  #said(): string {
    const { online, report, health, events } = this;
    const last = events.at(-1);
    return [
      `online=${online}`,
      `job=${report?.jobId} ${report?.status} ${report?.state} ${report?.message ?? ""}`,
      `agreement=${health?.agreement_pct}`,
      `last event=${last?.code} ${last?.msg}`,
    ].join(", ");
  }
}
