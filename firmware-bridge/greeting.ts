import { type Clock, systemClock } from "../runtime/base/clock.ts";
import { Failure } from "../runtime/base/failure.ts";
import { decodeReply, encodeRequest } from "./protocol/codec.ts";
import { commands, PROTOCOL, type Reply } from "./protocol/commands.ts";
import { encodeFrame, type Frame, MAX_PAYLOAD } from "./protocol/frame.ts";
import type { Transport } from "./transport/transport.ts";

export interface SessionTiming {
  readonly clock: Clock;
  readonly helloEveryMs: number;
  readonly helloTries: number;
  /** Silence after which a ping is sent. */
  readonly keepaliveMs: number;
}

export const defaultTiming: SessionTiming = {
  clock: systemClock,
  helloEveryMs: 250,
  helloTries: 16,
  keepaliveMs: 1000,
};

/** Sends HELLO until `done` or out of tries. Zeros first: they end whatever the device took for a frame. */
export async function callOut(
  transport: Transport,
  nonce: number,
  { clock, helloEveryMs, helloTries }: SessionTiming,
  done: AbortSignal,
): Promise<undefined> {
  const payload = encodeRequest("hello", { protocolMin: PROTOCOL.min, protocolMax: PROTOCOL.max, nonce });
  const hello = encodeFrame({ kind: "request", command: commands.hello.id, sequence: 0, ack: 0, payload });
  for (let i = 0; i < helloTries && !done.aborted; i++) {
    transport.write(Uint8Array.of(0, 0, 0, 0));
    transport.write(hello);
    await clock.sleep(helloEveryMs, done).catch(() => {});
  }
}

/** What a frame of the hello command says, if it is a HELLO_ACK. */
export function helloReply({ kind, payload }: Frame): Reply<"hello"> | undefined {
  if (kind !== "reply") return undefined;
  try {
    return decodeReply("hello", payload);
  } catch {
    return undefined;
  }
}

export function unanswered({ name }: Transport, heard: number): Failure {
  const hint = heard > 0 ? "it sends something else: another baud rate or firmware?" : "is it powered and flashed?";
  return new Failure("bridge/timeout", `no answer to HELLO on ${name}; ${hint}`, { heard });
}

/** @throws Failure `bridge/protocol-version` */
export function checkVersion({ name }: Transport, { protocol, protocolMin, protocolMax }: Reply<"hello">): void {
  if (protocol >= PROTOCOL.min && protocol <= PROTOCOL.max) return;
  throw new Failure(
    "bridge/protocol-version",
    `${name} speaks protocol ${protocolMin}..${protocolMax}, polaredge ${PROTOCOL.min}..${PROTOCOL.max}; update the older one`,
    { protocolMin, protocolMax },
  );
}

/** A frame holds at least a converter's steps of one column, and what it is about. */
const LEAST_PAYLOAD = 64;

/** What is said of the link is what all else relies on. @throws Failure `bridge/wrong-device` */
export function checkLink({ name }: Transport, { mtu, window }: Reply<"hello">): void {
  if (mtu >= LEAST_PAYLOAD && mtu <= MAX_PAYLOAD && window >= 1) return;
  throw new Failure(
    "bridge/wrong-device",
    `${name} says that it takes ${window} frames of ${mtu} bytes; 1 and ${LEAST_PAYLOAD}..${MAX_PAYLOAD} were expected`,
    { mtu, window },
  );
}
