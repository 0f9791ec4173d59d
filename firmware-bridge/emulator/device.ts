import { randomInt } from "node:crypto";
import type { AcceleratorProfile } from "../../device-profiles/accelerator.ts";
import { versionNumber } from "../management/image.ts";
import { decodeRequest, encodeReply } from "../protocol/codec.ts";
import {
  type CommandName,
  commandOf,
  commands,
  features,
  PROTOCOL,
  type Refusal,
  type Reply,
  type Request,
  refusals,
} from "../protocol/commands.ts";
import { Deframer, encodeFrame, type Frame } from "../protocol/frame.ts";
import { INPUT_BITS } from "../tiles/planes.ts";
import { Chip, type ChipStart, Refused } from "./chip.ts";
import type { Flash } from "./flash.ts";
import { Manager } from "./manager.ts";

export interface DeviceStart extends ChipStart {
  /** Of the first boot; random if left out. */
  readonly bootId?: number;
  /** Versions it speaks; for tests of what happens when they do not match. */
  readonly protocol?: { readonly min: number; readonly max: number };
  /** Milliseconds since power-on. */
  readonly uptimeMs?: () => number;
  /** What its firmware lies in, if that can be replaced. */
  readonly flash?: Flash;
}

/** What a device without images says of itself. */
const FIRMWARE = "0.0.1";
const RESET_REASONS = { powerOn: 1, command: 2, brownOut: 3 } as const;

/** What is remembered between HELLO and the next restart. */
interface Conversation {
  readonly nonce: number;
  /** The oldest request that the host still waits for. */
  oldest: number;
  /** Answers to it and the ones after it, so that a repetition is answered but not executed again. */
  readonly answers: Map<number, Uint8Array>;
}

/**
 * The firmware's side of the protocol in front of a modelled chip. Bytes in, bytes out, no clock and no line of its
 * own: what it answers depends only on its seed and on what it was told.
 */
export class EmulatedDevice {
  readonly chip: Chip;
  readonly #profile: AcceleratorProfile;
  readonly #start: DeviceStart;
  readonly #deframer = new Deframer();
  readonly #manager: Manager | undefined;
  #bootId: number;
  #resetReason: number = RESET_REASONS.powerOn;
  #conversation: Conversation | undefined;

  constructor(profile: AcceleratorProfile, start: DeviceStart = {}) {
    this.chip = new Chip(profile, start);
    this.#profile = profile;
    this.#start = start;
    this.#manager = start.flash && new Manager(start.flash);
    this.#bootId = start.bootId ?? randomInt(2 ** 32);
  }

  get counters(): { readonly frames: number; readonly discarded: number } {
    const { frames, malformed, crcErrors } = this.#deframer.counters;
    return { frames, discarded: malformed + crcErrors };
  }

  /** Whole answers, one or two frames for each request, in the order of the requests. */
  receive(bytes: Uint8Array): Uint8Array[] {
    return this.#deframer.push(bytes).flatMap((frame) => (frame.kind === "request" ? this.#handle(frame) : []));
  }

  /** As after a brown-out: tiles are lost, and it says HELLO_ACK by itself. Returns those bytes. */
  restart(): Uint8Array {
    return this.#boot(RESET_REASONS.brownOut);
  }

  #handle(frame: Frame): Uint8Array[] {
    if (frame.command === commands.hello.id) return [this.#greet(frame)];
    const conversation = this.#conversation;
    if (!conversation) return [this.#helloAck(0, PROTOCOL.max)];
    advance(conversation, frame.ack, this.#profile.link.window);
    const known = conversation.answers.get(frame.sequence);
    if (known) return [known];
    if (((frame.sequence - conversation.oldest) & 0xff) >= this.#profile.link.window) return [];
    const answer = this.#answer(frame);
    conversation.answers.set(frame.sequence, answer);
    const resets =
      frame.command === commands.reset.id || (frame.command === commands.manage.id && this.#manager?.resetAsked);
    return resets ? [answer, this.#boot(RESET_REASONS.command)] : [answer];
  }

  /** A repeated HELLO changes nothing; another one begins a new conversation. */
  #greet(frame: Frame): Uint8Array {
    try {
      const { protocolMin, protocolMax, nonce } = decodeRequest("hello", frame.payload);
      const own = this.#start.protocol ?? PROTOCOL;
      const common = Math.min(protocolMax, own.max);
      const protocol = common >= Math.max(protocolMin, own.min) ? common : 0;
      if (protocol > 0 && this.#conversation?.nonce !== nonce) {
        this.#conversation = { nonce, oldest: 0, answers: new Map() };
      }
      return this.#helloAck(nonce, protocol);
    } catch {
      return refuse(frame, "malformed");
    }
  }

  #helloAck(nonce: number, protocol: number): Uint8Array {
    const { array, converter, link } = this.#profile;
    const { min, max } = this.#start.protocol ?? PROTOCOL;
    const payload = encodeReply("hello", {
      protocol,
      protocolMin: min,
      protocolMax: max,
      nonce,
      mtu: link.mtu,
      window: link.window,
      bufferBytes: link.bufferBytes,
      bootId: this.#bootId,
      firmware: versionNumber(this.#start.flash?.image(this.#start.flash.active)?.version ?? FIRMWARE),
      resetReason: this.#resetReason,
      tiles: array.tiles,
      rows: array.rows,
      columns: array.columns,
      weightBits: array.weightBits,
      inputBits: INPUT_BITS,
      adcBits: converter.bits,
      features:
        features.environment |
        features.readRow |
        (this.chip.testsItself ? features.selfTest : 0) |
        (this.#manager ? features.manage : 0),
      accumulatorBits: converter.accumulatorBits,
      uid: this.chip.uid,
    });
    return encodeFrame({ kind: "reply", command: commands.hello.id, sequence: 0, ack: 0, payload });
  }

  #boot(reason: number): Uint8Array {
    this.#bootId = (this.#bootId + 1) >>> 0;
    this.#resetReason = reason;
    this.#conversation = undefined;
    this.chip.powerCycle();
    this.#start.flash?.boot();
    this.#manager?.start();
    return this.#helloAck(0, PROTOCOL.max);
  }

  #answer(frame: Frame): Uint8Array {
    const name = commandOf(frame.command);
    if (!name) return refuse(frame, "unknown-command");
    try {
      return reply(frame, this.#execute(name, frame.payload));
    } catch (error) {
      return refuse(frame, error instanceof Refused ? error.refusal : "malformed");
    }
  }

  #execute(name: CommandName, payload: Uint8Array): Uint8Array {
    return encodeReply(name, this.#commands[name](decodeRequest(name, payload) as never) as never);
  }

  readonly #commands: { readonly [C in CommandName]: (request: Request<C>) => Reply<C> } = {
    hello: () => {
      throw new Refused("unsupported");
    },
    ping: ({ token }) => ({ token }),
    status: () => ({
      uptimeMs: Math.floor(this.#start.uptimeMs?.() ?? 0) >>> 0,
      ...this.chip.status(),
      ...this.counters,
    }),
    reset: () => ({}),
    environment: ({ mask, ageSeconds, temperatureMc, seed, deadColumn }) => {
      if (mask & 1) this.chip.age(ageSeconds);
      if (mask & 2) this.chip.heat(temperatureMc / 1000);
      if (mask & 4) this.chip.replace(seed);
      if (mask & 8) this.chip.breakColumn(deadColumn);
      return this.chip.environment;
    },
    manage: ({ message }) => {
      if (!this.#manager) throw new Refused("unsupported");
      return { message: this.#manager.answer(message) };
    },
    writeTile: ({ tile, offset, levels }) => {
      this.chip.write(tile, offset, levels);
      return {};
    },
    verifyTile: ({ tile, length }) => ({ crc: this.chip.digest(tile, length) }),
    commitTile: ({ tile, rows, columns }) => {
      this.chip.commit(tile, rows, columns);
      return {};
    },
    setRange: ({ tile, steps, reads }) => {
      this.chip.setRange(tile, steps, reads);
      return {};
    },
    readRow: ({ tile, row }) => this.chip.readRow(tile, row),
    selfTest: ({ tile }) => this.chip.selfTest(tile),
    multiply: ({ tile, width, vectors }) => this.chip.multiply(tile, width, vectors, this.#profile.link.mtu),
  };
}

/** The host's oldest open request only moves forward; answers before it are not needed any more. */
function advance(conversation: Conversation, ack: number, window: number): void {
  const steps = (ack - conversation.oldest) & 0xff;
  if (steps > 2 * window) return;
  for (let i = 0; i < steps; i++) conversation.answers.delete((conversation.oldest + i) & 0xff);
  conversation.oldest = ack;
}

function reply({ command, sequence }: Frame, payload: Uint8Array): Uint8Array {
  return encodeFrame({ kind: "reply", command, sequence, ack: sequence, payload });
}

function refuse({ command, sequence }: Frame, refusal: Refusal): Uint8Array {
  const payload = Uint8Array.of(refusals[refusal]);
  return encodeFrame({ kind: "refusal", command, sequence, ack: sequence, payload });
}
