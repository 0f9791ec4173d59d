import { Failure } from "../../runtime/base/failure.ts";
import { cobsBound, cobsDecode, cobsEncode } from "./cobs.ts";
import { crc32 } from "./crc.ts";

/**
 * A frame on the wire is 0x00, COBS(header, payload, CRC-32 of both), 0x00. The header:
 *
 *   ctl u8   what kind of frame (below)
 *   chan u8  the command's id
 *   seq u8   the request's number; a reply has the number of its request
 *   ack u8   request: the oldest number not answered yet, so everything before it may be forgotten; reply: same as seq
 *   len u16  of the payload
 *
 * The zero in front ends whatever noise came before, so a device that prints boot text costs no frame.
 */
export interface Frame {
  readonly kind: FrameKind;
  readonly command: number;
  readonly sequence: number;
  readonly ack: number;
  readonly payload: Uint8Array;
}

export const frameKinds = { request: 1, reply: 2, refusal: 3 } as const;
export type FrameKind = keyof typeof frameKinds;

export const HEADER_BYTES = 6;
export const CRC_BYTES = 4;
/** Keeps a frame within 2 KiB on the wire, which small devices can hold. */
export const MAX_PAYLOAD = 2000;
const MAX_BLOCK = cobsBound(HEADER_BYTES + MAX_PAYLOAD + CRC_BYTES);

/** Bytes on the wire of a frame with such a payload, at most. */
export function wireBytes(payloadBytes: number): number {
  return cobsBound(HEADER_BYTES + payloadBytes + CRC_BYTES) + 2;
}

export function encodeFrame({ kind, command, sequence, ack, payload }: Frame): Uint8Array {
  if (payload.length > MAX_PAYLOAD) {
    throw new Failure("input/shape", `a payload of ${payload.length} bytes; a frame holds ${MAX_PAYLOAD}`);
  }
  const body = new Uint8Array(HEADER_BYTES + payload.length + CRC_BYTES);
  body.set([frameKinds[kind], command, sequence, ack, payload.length & 0xff, payload.length >> 8]);
  body.set(payload, HEADER_BYTES);
  const end = HEADER_BYTES + payload.length;
  new DataView(body.buffer).setUint32(end, crc32(body.subarray(0, end)), true);
  const wire = new Uint8Array(wireBytes(payload.length));
  return wire.subarray(0, cobsEncode(body, wire, 1) + 1);
}

/** What a Deframer met. Blocks without content (two zeros in a row) do not count. */
export interface FrameCounters {
  frames: number;
  /** Blocks that are not a frame: bad COBS, bad header, too long. */
  malformed: number;
  /** Whole frames with a wrong CRC. */
  crcErrors: number;
}

export const noFrames: Readonly<FrameCounters> = { frames: 0, malformed: 0, crcErrors: 0 };

/** Cuts a stream of bytes into frames. It never throws, holds at most one block and counts what it discards. */
export class Deframer {
  readonly counters: FrameCounters;
  readonly #block = new Uint8Array(MAX_BLOCK);
  /** MAX_BLOCK + 1 once the block is too long. */
  #length = 0;

  /** Adds to `counters`, so that they can outlive the line. */
  constructor(counters: FrameCounters = { ...noFrames }) {
    this.counters = counters;
  }

  push(chunk: Uint8Array): Frame[] {
    const frames: Frame[] = [];
    for (let at = 0; at < chunk.length; ) {
      const zero = chunk.indexOf(0, at);
      const end = zero < 0 ? chunk.length : zero;
      this.#append(chunk.subarray(at, end));
      if (zero >= 0) {
        const frame = this.#finish();
        if (frame) frames.push(frame);
      }
      at = end + 1;
    }
    return frames;
  }

  #append(part: Uint8Array): void {
    if (this.#length + part.length > MAX_BLOCK) {
      this.#length = MAX_BLOCK + 1;
      return;
    }
    this.#block.set(part, this.#length);
    this.#length += part.length;
  }

  #finish(): Frame | undefined {
    const length = this.#length;
    this.#length = 0;
    if (length === 0) return undefined;
    const frame = length > MAX_BLOCK ? "malformed" : decodeBlock(this.#block.subarray(0, length));
    if (typeof frame === "string") {
      this.counters[frame]++;
      return undefined;
    }
    this.counters.frames++;
    return frame;
  }
}

const kinds = new Map<number, FrameKind>(
  (Object.keys(frameKinds) as FrameKind[]).map((kind) => [frameKinds[kind], kind]),
);

function decodeBlock(block: Uint8Array): Frame | "malformed" | "crcErrors" {
  const body = cobsDecode(block);
  if (!body || body.length < HEADER_BYTES + CRC_BYTES) return "malformed";
  const end = body.length - CRC_BYTES;
  const sealed = new DataView(body.buffer, body.byteOffset).getUint32(end, true);
  if (sealed !== crc32(body.subarray(0, end))) return "crcErrors";
  const kind = kinds.get(body[0]);
  if (kind === undefined || (body[4] | (body[5] << 8)) !== end - HEADER_BYTES) return "malformed";
  const [, command, sequence, ack] = body;
  return { kind, command, sequence, ack, payload: body.subarray(HEADER_BYTES, end) };
}
