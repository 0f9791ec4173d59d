import { readFileSync } from "node:fs";
import { isIP, Socket } from "node:net";
import type { IClientOptions, MqttClient } from "mqtt";
import { MAX_BLOCK_BYTES } from "./files/block.ts";
import { encodePayload, topicOf, topics } from "./topics.ts";

export interface BrokerOptions {
  /** mqtt://, mqtts://, ws:// or wss:// */
  readonly url: string;
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  readonly keepaliveSeconds?: number | undefined;
  /** Of mqtts and wss: TLS 1.3, paths of PEM files, read anew for each connection. */
  readonly tls?: TlsOptions | undefined;
  /** Announce the device to Home Assistant. */
  readonly homeAssistant?: boolean | undefined;
}

export interface TlsOptions {
  /** Who vouches for the broker; the authorities of the system when absent. */
  readonly ca?: string | undefined;
  /** Who this client is. */
  readonly certificate?: string | undefined;
  readonly key?: string | undefined;
}

export type Version = 5 | 4;

const CONNECT_MS = 10_000;
const WILL_DELAY_S = 10;
/** Commands that come while the device is away for less than that are not lost (MQTT 5). */
const SESSION_S = 600;
/** What this client takes in one packet: a block with its topic. A job has 16 KiB at most. */
const MAX_INCOMING_BYTES = MAX_BLOCK_BYTES + 1024;

/** How a device connects. @throws Error where a file of the TLS options can't be read */
export function deviceConnection(device: string, broker: BrokerOptions, version: Version): IClientOptions {
  const five = version === 5;
  return {
    ...clientConnection(broker, version),
    clientId: device,
    clean: !five,
    ...(five && { properties: { maximumPacketSize: MAX_INCOMING_BYTES, sessionExpiryInterval: SESSION_S } }),
    will: {
      topic: topicOf(device, "online"),
      payload: Buffer.from(encodePayload("online", "offline")),
      qos: topics.online.qos,
      retain: topics.online.retain,
      ...(five && { properties: { willDelayInterval: WILL_DELAY_S } }),
    },
  };
}

/** How anybody connects: one attempt, and nothing by itself after it. */
export function clientConnection(broker: BrokerOptions, version: Version): IClientOptions {
  const { url, username, password, keepaliveSeconds = 30, tls = {} } = broker;
  const file = (path: string | undefined): Buffer | undefined => (path === undefined ? undefined : readFileSync(path));
  const secure = /^(mqtts|wss):/.test(url);
  const [ca, cert, key] = secure ? [file(tls.ca), file(tls.certificate), file(tls.key)] : [];
  return {
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password }),
    keepalive: keepaliveSeconds,
    connectTimeout: CONNECT_MS,
    reconnectPeriod: 0,
    protocolVersion: version,
    ...(secure && { minVersion: "TLSv1.3", rejectUnauthorized: true, ...serverName(url) }),
    ...(ca && { ca }),
    ...(cert && { cert }),
    ...(key && { key }),
  };
}

/** RFC 6066, section 3: an address is no server name. */
function serverName(url: string): { readonly servername?: string } {
  const { hostname } = new URL(url);
  return isIP(hostname) ? {} : { servername: hostname };
}

/**
 * A small packet must not wait for the acknowledgement of the one before (Nagle's algorithm, RFC 896, against delayed
 * ones: 40 ms each time).
 */
export function sendAtOnce({ stream }: Pick<MqttClient, "stream">): void {
  if (stream instanceof Socket) stream.setNoDelay(true);
}
