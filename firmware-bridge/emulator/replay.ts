import { decodeReply, decodeRequest, encodeReply } from "../protocol/codec.ts";
import { commands, refusals } from "../protocol/commands.ts";
import { Deframer, encodeFrame, type Frame } from "../protocol/frame.ts";
import type { Passage } from "../transport/recording.ts";

interface Answer {
  readonly kind: Frame["kind"];
  readonly payload: Uint8Array;
}

/**
 * A device that answers as a recorded one did: to the same request the same, in turn where it was asked more than once
 * and the last one from then on. What it was never asked it refuses as unsupported.
 */
export class ReplayDevice {
  readonly #answers = new Map<string, Answer[]>();
  readonly #deframer = new Deframer();
  readonly #kept = new Map<number, { readonly key: string; readonly answer: Uint8Array }>();

  constructor(passages: readonly Passage[]) {
    const [requests, replies] = [new Deframer(), new Deframer()];
    const open = new Map<number, string>();
    for (const { towards, bytes } of passages) {
      if (towards === "device") for (const frame of requests.push(bytes)) open.set(frame.sequence, keyOf(frame));
      else for (const frame of replies.push(bytes)) this.#learn(frame, open);
    }
  }

  /** As EmulatedDevice.receive. */
  receive(bytes: Uint8Array): Uint8Array[] {
    return this.#deframer.push(bytes).flatMap((frame) => (frame.kind === "request" ? [this.#answer(frame)] : []));
  }

  #learn(frame: Frame, open: Map<number, string>): void {
    const key = frame.command === commands.hello.id ? HELLO : open.get(frame.sequence);
    // A repeated answer is no other one.
    if (frame.command !== commands.hello.id) open.delete(frame.sequence);
    if (key === undefined) return;
    const answers = this.#answers.get(key) ?? [];
    answers.push({ kind: frame.kind, payload: frame.payload });
    this.#answers.set(key, answers);
  }

  #answer(frame: Frame): Uint8Array {
    const { command, sequence } = frame;
    const key = keyOf(frame);
    const kept = this.#kept.get(sequence);
    if (kept?.key === key && key !== HELLO) return kept.answer;
    if (key === HELLO) this.#kept.clear();
    const answers = this.#answers.get(key) ?? [];
    const next = answers.length > 1 ? answers.shift() : answers[0];
    const { kind, payload } = next ?? { kind: "refusal" as const, payload: Uint8Array.of(refusals.unsupported) };
    const said = key === HELLO && kind === "reply" ? greetingTo(frame, payload) : payload;
    const answer = encodeFrame({ kind, command, sequence, ack: sequence, payload: said });
    this.#kept.set(sequence, { key, answer });
    this.#kept.delete((sequence + 128) & 0xff);
    return answer;
  }
}

const HELLO = "hello";

function keyOf({ command, payload }: Frame): string {
  return command === commands.hello.id ? HELLO : `${command} ${Buffer.from(payload).toString("latin1")}`;
}

/** The recorded greeting, to whoever asks now. */
function greetingTo(frame: Frame, recorded: Uint8Array): Uint8Array {
  const { nonce } = decodeRequest("hello", frame.payload);
  return encodeReply("hello", { ...decodeReply("hello", recorded), nonce });
}
