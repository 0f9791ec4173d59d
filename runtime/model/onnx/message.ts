import { Failure } from "../../base/failure.ts";
import { littleEndian } from "../builder/little-endian.ts";

/** Protocol buffers wire types (https://protobuf.dev/programming-guides/encoding/). */
const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const FIXED32 = 5;

interface Field {
  readonly wire: number;
  /** The integer of a varint; the raw bytes of all others. */
  readonly value: bigint | Uint8Array;
}

const text = new TextDecoder();

/**
 * One protocol buffers message, read without a schema: fields by number, in the order of the file. Every length is
 * checked against the bytes that are there; nothing is copied but what a getter returns.
 */
export class Message {
  readonly #fields = new Map<number, Field[]>();

  constructor(bytes: Uint8Array) {
    const cursor = { bytes, at: 0 };
    while (cursor.at < bytes.length) {
      const tag = Number(varint(cursor));
      const number = Math.floor(tag / 8);
      const field = fieldOf(tag % 8, cursor);
      const fields = this.#fields.get(number);
      if (fields) fields.push(field);
      else this.#fields.set(number, [field]);
    }
  }

  has(number: number): boolean {
    return this.#fields.has(number);
  }

  /** Signed 64-bit, as a double; 0 if it is left out. */
  integer(number: number): number {
    return this.integers(number).at(-1) ?? 0;
  }

  /** Repeated, packed or not. */
  integers(number: number): number[] {
    return this.#all(number).flatMap(({ wire, value }) => {
      if (typeof value === "bigint") return [Number(value)];
      if (wire !== BYTES) throw wrongWire(number, wire);
      const cursor = { bytes: value, at: 0 };
      const packed: number[] = [];
      while (cursor.at < value.length) packed.push(Number(varint(cursor)));
      return packed;
    });
  }

  float(number: number): number {
    return this.floats(number).at(-1) ?? 0;
  }

  /** Repeated f32, packed or not. */
  floats(number: number): Float32Array {
    return littleEndian(this.#joined(number, FIXED32), Float32Array);
  }

  /** Repeated f64, packed or not. */
  doubles(number: number): Float64Array {
    return littleEndian(this.#joined(number, FIXED64), Float64Array);
  }

  bytes(number: number): Uint8Array | undefined {
    return this.#blobs(number).at(-1);
  }

  /** Empty if it is left out. */
  text(number: number): string {
    return this.texts(number).at(-1) ?? "";
  }

  texts(number: number): string[] {
    return this.#blobs(number).map((bytes) => text.decode(bytes));
  }

  message(number: number): Message | undefined {
    const bytes = this.bytes(number);
    return bytes && new Message(bytes);
  }

  messages(number: number): Message[] {
    return this.#blobs(number).map((bytes) => new Message(bytes));
  }

  #all(number: number): readonly Field[] {
    return this.#fields.get(number) ?? [];
  }

  #blobs(number: number): Uint8Array[] {
    return this.#all(number).map(({ wire, value }) => {
      if (typeof value === "bigint" || wire !== BYTES) throw wrongWire(number, wire);
      return value;
    });
  }

  #joined(number: number, single: number): Uint8Array {
    const parts = this.#all(number).map(({ wire, value }) => {
      if (typeof value === "bigint" || (wire !== BYTES && wire !== single)) throw wrongWire(number, wire);
      return value;
    });
    if (parts.length === 1) return parts[0];
    const joined = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
    let at = 0;
    for (const part of parts) {
      joined.set(part, at);
      at += part.length;
    }
    return joined;
  }
}

interface Cursor {
  readonly bytes: Uint8Array;
  at: number;
}

function fieldOf(wire: number, cursor: Cursor): Field {
  if (wire === VARINT) return { wire, value: varint(cursor) };
  if (wire === FIXED64) return { wire, value: take(cursor, 8) };
  if (wire === FIXED32) return { wire, value: take(cursor, 4) };
  if (wire === BYTES) return { wire, value: take(cursor, Number(varint(cursor))) };
  throw new Failure("import/malformed", `damaged file: unknown protobuf wire type ${wire}`);
}

/** Signed: a 64-bit two's complement in groups of seven bits. */
function varint(cursor: Cursor): bigint {
  let low = 0;
  for (let shift = 0; shift < 28; shift += 7) {
    const byte = next(cursor);
    low |= (byte & 0x7f) << shift;
    if (byte < 0x80) return BigInt(low);
  }
  let value = BigInt(low);
  for (let shift = 28n; shift < 70n; shift += 7n) {
    const byte = next(cursor);
    value |= BigInt(byte & 0x7f) << shift;
    if (byte < 0x80) return BigInt.asIntN(64, value);
  }
  throw new Failure("import/malformed", "damaged file: a protobuf number has more than 10 bytes");
}

function next(cursor: Cursor): number {
  return take(cursor, 1)[0];
}

function take(cursor: Cursor, size: number): Uint8Array {
  const rest = cursor.bytes.length - cursor.at;
  if (!(size >= 0 && size <= rest)) {
    throw new Failure("import/malformed", `damaged or truncated file: ${size} bytes announced where ${rest} are left`);
  }
  cursor.at += size;
  return cursor.bytes.subarray(cursor.at - size, cursor.at);
}

function wrongWire(number: number, wire: number): Failure {
  return new Failure("import/malformed", `damaged file: protobuf field ${number} has the wrong wire type ${wire}`);
}
