import { connect, type IClientOptions, type IConnackPacket, type IPublishPacket, type MqttClient } from "mqtt";
import type { Clock } from "../base/clock.ts";
import { messageOf } from "../base/failure.ts";
import type { Log } from "../base/log.ts";
import { Commands } from "./commands.ts";
import { encodePayload, type Fleet, type FleetListener, nameOf, type Outgoing, topicOf, topics } from "./topics.ts";

export interface BrokerOptions {
  /** mqtt://, mqtts://, ws:// or wss:// */
  readonly url: string;
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  readonly keepaliveSeconds?: number | undefined;
}

export interface MqttParts {
  readonly device: string;
  readonly broker: BrokerOptions;
  readonly listener: FleetListener;
  readonly clock: Clock;
  readonly log: Log;
  /** In [0, 1): spreads the reconnects of a fleet. */
  readonly random?: () => number;
}

type Version = 5 | 4;

const CONNECT_MS = 10_000;
const FIRST_RETRY_MS = 250;
const LAST_RETRY_MS = 8_000;
/** A connection that ends sooner was none: somebody else has the same id, perhaps. */
const STABLE_MS = 10_000;
const GOODBYE_MS = 2_000;
const WILL_DELAY_S = 10;
/** What this client takes in one packet. A job has 16 KiB at most. */
const MAX_INCOMING_BYTES = 64 * 1024;
/** What it sends where the broker names no limit. MQTT.js retries for ever what the broker refuses for its size. */
const MAX_OUTGOING_BYTES = 256 * 1024;
const HEADER_BYTES = 1024;
/** Events kept while there is no connection; then the oldest go. */
const MAX_WAITING = 64;
/** MQTT 3.1.1 section 3.2.2.3 and MQTT 5 section 3.2.2.2: the broker does not speak this version. */
const UNSUPPORTED_VERSION = new Set<unknown>([1, 132]);

/** Connects in the background, and again and again until closed. */
export function openFleet(parts: MqttParts): Fleet {
  return new MqttFleet(parts);
}

class MqttFleet implements Fleet {
  readonly #parts: MqttParts;
  readonly #commands: Commands;
  readonly #closing = new AbortController();
  readonly #done: Promise<void>;
  readonly #waiting: Uint8Array[] = [];
  #client: MqttClient | undefined;
  #maxBytes = MAX_OUTGOING_BYTES;
  #version: Version = 5;
  #leaving = false;

  constructor(parts: MqttParts) {
    this.#parts = parts;
    this.#commands = new Commands(parts.device, (command) => parts.listener.command(command), parts.clock);
    this.#done = this.#live();
  }

  async publish<T extends keyof Outgoing>(name: T, payload: Outgoing[T]): Promise<void> {
    const data = encodePayload(name, payload);
    if (this.#client) return this.#send(this.#client, name, data);
    if (topics[name].retain) return;
    this.#waiting.push(data);
    if (this.#waiting.length > MAX_WAITING) this.#waiting.shift();
  }

  /** Says good-bye, if the broker listens. */
  async close(): Promise<void> {
    this.#leaving = true;
    const said = new AbortController();
    const patience = this.#parts.clock.sleep(GOODBYE_MS, said.signal).catch(() => undefined);
    await Promise.race([this.#goodbye(), patience]);
    said.abort();
    this.#closing.abort();
    await this.#done;
  }

  async #goodbye(): Promise<void> {
    const client = this.#client;
    if (!client) return;
    await this.#send(client, "online", encodePayload("online", "offline"));
    await client.endAsync().catch(() => undefined);
  }

  async #live(): Promise<void> {
    const { clock, log, random = Math.random } = this.#parts;
    const { signal } = this.#closing;
    for (let failures = 0; !this.#leaving; ) {
      const [version, began] = [this.#version, clock.uptimeMs()];
      const { welcome, reason } = await this.#session();
      failures = welcome && clock.uptimeMs() - began > STABLE_MS ? 0 : failures + 1;
      if (this.#leaving) break;
      if (version !== this.#version) continue;
      log.warn("no connection to the broker", { url: this.#parts.broker.url, reason, version: this.#version });
      const pause = Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** failures) * (0.5 + random());
      await clock.sleep(pause, signal).catch(() => undefined);
    }
  }

  /** One connection, from the attempt to its end. */
  #session(): Promise<{ welcome: boolean; reason: string }> {
    return new Promise((resolve) => {
      const client = connect(this.#parts.broker.url, this.#options());
      let welcome = false;
      let reason = "closed by the broker";
      const stop = (): void => void client.end(true);
      const closing = this.#closing.signal;
      closing.addEventListener("abort", stop);
      client.on("connect", (connack) => {
        welcome = true;
        this.#welcome(client, connack).catch((error: unknown) => {
          reason = messageOf(error);
          stop();
        });
      });
      client.on("message", (topic, payload, packet) => this.#take(topic, payload, packet));
      client.on("disconnect", (packet) => {
        reason = `the broker says ${packet.reasonCode}`;
      });
      client.on("error", (error) => {
        reason = messageOf(error);
        if ("code" in error && UNSUPPORTED_VERSION.has(error.code)) this.#version = 4;
        stop();
      });
      client.on("close", () => {
        this.#client = undefined;
        closing.removeEventListener("abort", stop);
        stop();
        resolve({ welcome, reason });
      });
    });
  }

  #options(): IClientOptions {
    const { device, broker } = this.#parts;
    const five = this.#version === 5;
    return {
      clientId: device,
      ...(broker.username !== undefined && { username: broker.username }),
      ...(broker.password !== undefined && { password: broker.password }),
      keepalive: broker.keepaliveSeconds ?? 30,
      clean: true,
      connectTimeout: CONNECT_MS,
      reconnectPeriod: 0,
      protocolVersion: this.#version,
      ...(five && { properties: { maximumPacketSize: MAX_INCOMING_BYTES } }),
      will: {
        topic: topicOf(device, "online"),
        payload: Buffer.from(encodePayload("online", "offline")),
        qos: topics.online.qos,
        retain: topics.online.retain,
        ...(five && { properties: { willDelayInterval: WILL_DELAY_S } }),
      },
    };
  }

  async #welcome(client: MqttClient, connack: IConnackPacket): Promise<void> {
    const { device, listener, log } = this.#parts;
    this.#maxBytes = connack.properties?.maximumPacketSize ?? MAX_OUTGOING_BYTES;
    await client.subscribeAsync([topicOf(device, "job/desired"), topicOf(device, "cmd/+")], { qos: 1 });
    await this.#send(client, "online", encodePayload("online", "online"));
    this.#client = client;
    log.info("connected to the broker", { url: this.#parts.broker.url, version: this.#version });
    listener.connected();
    for (const event of this.#waiting.splice(0)) await this.#send(client, "event", event);
  }

  #take(topic: string, payload: Uint8Array, packet: IPublishPacket): void {
    const name = nameOf(this.#parts.device, topic);
    if (name === "job/desired") this.#parts.listener.desired(payload);
    else if (name?.startsWith("cmd/")) void this.#answer(name.slice("cmd/".length), payload, packet);
  }

  async #answer(name: string, payload: Uint8Array, { retain, properties }: IPublishPacket): Promise<void> {
    const answer = await this.#commands.take({
      name,
      payload,
      retained: retain,
      responseTopic: properties?.responseTopic,
      correlation: properties?.correlationData,
    });
    if (!answer || !this.#client) return;
    const correlationData = answer.correlation && Buffer.from(answer.correlation);
    await this.#client
      .publishAsync(answer.topic, Buffer.from(answer.payload), {
        qos: topics["rsp/+"].qos,
        ...(correlationData && { properties: { correlationData } }),
      })
      .catch((error: unknown) => this.#parts.log.warn("answer not sent", { topic: answer.topic, error }));
  }

  async #send(client: MqttClient, name: keyof Outgoing, data: Uint8Array): Promise<void> {
    const { log, device } = this.#parts;
    if (data.length + HEADER_BYTES > this.#maxBytes) {
      log.error("payload too large for the broker", { name, bytes: data.length, limit: this.#maxBytes });
      return;
    }
    const { qos, retain } = topics[name];
    await client
      .publishAsync(topicOf(device, name), Buffer.from(data), { qos, retain })
      .catch((error: unknown) => log.warn("not sent", { name, error }));
  }
}
