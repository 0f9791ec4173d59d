import type { MqttClient } from "mqtt";
import { messageOf } from "../../../runtime/base/failure.ts";
import type { BrokerOptions } from "../../../runtime/fleet/connection.ts";
import { connectTo } from "../connect.ts";

export interface BrokerStatus {
  readonly url: string;
  readonly connected: boolean;
  /** Since when it is as it is: UTC, milliseconds. */
  readonly since: number;
  /** Why not. */
  readonly why: string | undefined;
}

const RETRY_MS = 1000;

/** A connection that is sought until it is there, and again when it is lost. */
export class BrokerLine {
  readonly #broker: BrokerOptions;
  readonly #changed: () => void;
  readonly #closing = new AbortController();
  #client: MqttClient | undefined;
  #status: BrokerStatus;

  constructor(broker: BrokerOptions, changed: () => void) {
    this.#broker = broker;
    this.#changed = changed;
    this.#status = { url: withoutPassword(broker.url), connected: false, since: Date.now(), why: "not reached yet" };
  }

  get status(): BrokerStatus {
    return this.#status;
  }

  /** Resolves once it was reached for the first time; undefined if it was closed before. */
  async open(): Promise<MqttClient | undefined> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      const client = await connectTo(this.#broker).catch((error: unknown) => this.#lost(messageOf(error)));
      if (client && !signal.aborted) return this.#keep(client);
      await client?.endAsync(true);
      if (signal.aborted) break;
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
    return undefined;
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#client?.endAsync(true);
  }

  #keep(client: MqttClient): MqttClient {
    this.#client = client;
    client.options.reconnectPeriod = RETRY_MS;
    client.on("connect", () => this.#say(true, undefined));
    client.on("close", () => this.#lost("the connection was closed"));
    client.on("error", (error) => this.#lost(messageOf(error)));
    this.#say(true, undefined);
    return client;
  }

  #lost(why: string): undefined {
    if (!this.#closing.signal.aborted) this.#say(false, why);
    return undefined;
  }

  #say(connected: boolean, why: string | undefined): void {
    const since = connected === this.#status.connected ? this.#status.since : Date.now();
    this.#status = { url: this.#status.url, connected, since, why };
    this.#changed();
  }
}

function withoutPassword(url: string): string {
  const { protocol, host } = new URL(url);
  return `${protocol}//${host}`;
}
