import { connect, type IClientOptions, type IConnackPacket, type IPublishPacket, type MqttClient } from "mqtt";
import type { Clock } from "../base/clock.ts";
import { messageOf } from "../base/failure.ts";
import type { Log } from "../base/log.ts";
import { Commands } from "./commands.ts";
import { type BrokerOptions, deviceConnection, sendAtOnce, type Version } from "./connection.ts";
import { discovery, discoveryTopic, updateView } from "./discovery.ts";
import { MAX_BLOCK_BYTES } from "./files/block.ts";
import type { Transfers } from "./files/transfers.ts";
import type { Outbox } from "./outbox.ts";
import {
  encodePayload,
  type Fleet,
  type FleetEvent,
  type FleetListener,
  type Info,
  nameOf,
  type Outgoing,
  type Report,
  topicOf,
  topics,
} from "./topics.ts";

export interface MqttParts {
  readonly device: string;
  readonly broker: BrokerOptions;
  readonly listener: FleetListener;
  /** Events wait here until the broker has them. */
  readonly outbox: Pick<Outbox, "waiting" | "add" | "remove">;
  /** Where the device takes files from the broker too. */
  readonly transfers?: Transfers | undefined;
  readonly clock: Clock;
  readonly log: Log;
  /** MQTT.js, or something in front of it. */
  readonly connect?: (url: string, options: IClientOptions) => MqttClient;
  /** In [0, 1): spreads the reconnects of a fleet. */
  readonly random?: () => number;
}

const FIRST_RETRY_MS = 250;
const LAST_RETRY_MS = 8_000;
/** A connection that ends sooner was none: somebody else has the same id, perhaps. */
const STABLE_MS = 10_000;
const GOODBYE_MS = 2_000;
/** What it sends where the broker names no limit. MQTT.js retries for ever what the broker refuses for its size. */
const MAX_OUTGOING_BYTES = 256 * 1024;
const HEADER_BYTES = 1024;
/** Between old events, so that a fleet that comes back does not flood the broker. */
const REPLAY_PAUSE_MS = 20;
/** MQTT 5 section 3.14.2.1: another client has come with this id. To fight for it would throw both out for ever. */
const TAKEN_OVER = 142;
const TAKEN_OVER_RETRY_MS = 60_000;
/** MQTT 5 section 2.4: reason codes from here on are refusals, and come again for the same message. */
const REFUSED = 128;
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
  #draining: Promise<void> = Promise.resolve();
  #client: MqttClient | undefined;
  /** Rejects when the connection ends: of a session that the broker keeps, MQTT.js lets publishers wait for ever. */
  #lost: Promise<never> = new Promise(() => undefined);
  #maxBytes = MAX_OUTGOING_BYTES;
  #version: Version = 5;
  #leaving = false;

  constructor(parts: MqttParts) {
    this.#parts = parts;
    this.#commands = new Commands(parts.device, (command) => parts.listener.command(command), parts.clock);
    this.#done = this.#live();
  }

  async publish<T extends keyof Outgoing>(name: T, payload: Outgoing[T]): Promise<void> {
    if (name === "event") return this.#keep(payload as FleetEvent);
    const client = this.#client;
    if (!client) return;
    await this.#send(client, name, encodePayload(name, payload));
    if (this.#parts.broker.homeAssistant !== true) return;
    if (name === "info") await this.#discover(client, payload as Info);
    if (name === "job/reported") {
      await this.#send(client, "job/update", encodePayload("job/update", updateView(payload as Report)));
    }
  }

  async #discover(client: MqttClient, info: Info): Promise<void> {
    const { device, log } = this.#parts;
    await client
      .publishAsync(discoveryTopic(device), JSON.stringify(discovery(info)), { qos: 1, retain: true })
      .catch((error: unknown) => log.warn("not announced to Home Assistant", { error }));
  }

  /** Never lost: on disk first, then sent, and forgotten when the broker has it. */
  async #keep(event: FleetEvent): Promise<void> {
    const { outbox, log } = this.#parts;
    await outbox.add(event).catch((error: unknown) => log.warn("event not on disk", { error }));
    if (this.#client) await this.#drain(this.#client, new Set());
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
      const { welcome, reason, code } = await this.#session();
      failures = welcome && clock.uptimeMs() - began > STABLE_MS ? 0 : failures + 1;
      if (this.#leaving) break;
      if (version !== this.#version) continue;
      log.warn("no connection to the broker", { url: this.#parts.broker.url, reason, version: this.#version });
      if (code === TAKEN_OVER) this.#parts.listener.takenOver();
      const usual = Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** failures);
      const pause = (code === TAKEN_OVER ? TAKEN_OVER_RETRY_MS : usual) * (0.5 + random());
      await clock.sleep(pause, signal).catch(() => undefined);
    }
  }

  /** One connection, from the attempt to its end. */
  #session(): Promise<{ welcome: boolean; reason: string; code?: number | undefined }> {
    return new Promise((resolve) => {
      const { broker, device, connect: open = connect } = this.#parts;
      const client = open(broker.url, deviceConnection(device, broker, this.#version));
      let welcome = false;
      let code: number | undefined;
      let reason = "closed by the broker";
      const stop = (): void => void client.end(true);
      this.#lost = new Promise((_, reject) => client.once("close", () => reject(new Error("connection closed"))));
      this.#lost.catch(() => undefined);
      const closing = this.#closing.signal;
      closing.addEventListener("abort", stop);
      client.on("connect", (connack) => {
        welcome = true;
        sendAtOnce(client);
        this.#welcome(client, connack).catch((error: unknown) => {
          reason = messageOf(error);
          stop();
        });
      });
      client.on("message", (topic, payload, packet) => this.#take(topic, payload, packet));
      client.on("disconnect", (packet) => {
        code = packet.reasonCode;
        reason = `the broker says ${code}`;
      });
      client.on("error", (error) => {
        reason = messageOf(error);
        if ("code" in error && UNSUPPORTED_VERSION.has(error.code)) this.#version = 4;
        stop();
      });
      client.on("close", () => {
        this.#client = undefined;
        this.#parts.transfers?.use(undefined);
        closing.removeEventListener("abort", stop);
        stop();
        resolve({ welcome, reason, code });
      });
    });
  }

  async #welcome(client: MqttClient, connack: IConnackPacket): Promise<void> {
    const { device, listener, log, transfers } = this.#parts;
    this.#maxBytes = connack.properties?.maximumPacketSize ?? MAX_OUTGOING_BYTES;
    const heard = ["job/desired", "cmd/+", ...(transfers ? ["xfer/rsp/+"] : [])];
    const granted = await client.subscribeAsync(
      heard.map((name) => topicOf(device, name)),
      { qos: 1 },
    );
    const denied = granted.filter(({ qos }) => qos > 2).map(({ topic }) => topic);
    if (denied.length > 0) log.error("the broker refuses a subscription", { topics: denied.join(" ") });
    await this.#send(client, "online", encodePayload("online", "online"));
    this.#client = client;
    log.info("connected to the broker", { url: this.#parts.broker.url, version: this.#version });
    listener.connected();
    transfers?.use({
      ask: (request) => void this.#send(client, "xfer/req", encodePayload("xfer/req", request)),
      blockBytes: Math.min(MAX_BLOCK_BYTES, this.#maxBytes - HEADER_BYTES),
    });
    void this.#drain(client, new Set(this.#parts.outbox.waiting));
  }

  /** One after the other, in order; `old` ones happened while nobody listened, and are marked as such. */
  #drain(client: MqttClient, old: ReadonlySet<FleetEvent>): Promise<void> {
    this.#draining = this.#draining.then(async () => {
      const { outbox, log, clock } = this.#parts;
      for (let [event] = outbox.waiting; event && this.#client === client; [event] = outbox.waiting) {
        const hist = old.has(event) || undefined;
        if (!(await this.#send(client, "event", encodePayload("event", { ...event, hist })))) return;
        await outbox.remove(event).catch((error: unknown) => log.warn("outbox not shortened", { error }));
        if (hist) await clock.sleep(REPLAY_PAUSE_MS, this.#closing.signal).catch(() => undefined);
      }
    });
    return this.#draining;
  }

  #take(topic: string, payload: Uint8Array, packet: IPublishPacket): void {
    const name = nameOf(this.#parts.device, topic);
    if (name === "job/desired") this.#parts.listener.desired(payload);
    else if (name?.startsWith("xfer/rsp/")) this.#parts.transfers?.take(name.slice("xfer/rsp/".length), payload);
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

  /** Whether this is done with: the broker has it, or never will. */
  async #send(client: MqttClient, name: keyof Outgoing, data: Uint8Array): Promise<boolean> {
    const { log, device } = this.#parts;
    if (data.length + HEADER_BYTES > this.#maxBytes) {
      log.error("payload too large for the broker", { name, bytes: data.length, limit: this.#maxBytes });
      return true;
    }
    const { qos, retain } = topics[name];
    const sent = client.publishAsync(topicOf(device, name), Buffer.from(data), { qos, retain });
    return Promise.race([sent, this.#lost]).then(
      () => true,
      (error: unknown) => {
        const refused = error instanceof Error && "code" in error && Number(error.code) >= REFUSED;
        log[refused ? "error" : "warn"]("not sent", { name, error });
        return refused;
      },
    );
  }
}
