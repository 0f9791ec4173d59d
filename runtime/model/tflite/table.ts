import { Failure } from "../../base/failure.ts";

/**
 * A FlatBuffers table, read without a schema: fields by their index in the schema
 * (https://flatbuffers.dev/internals). Every offset is checked, so a damaged file is a failure and nothing else.
 */
export class Table {
  readonly #file: Bytes;
  readonly #at: number;
  readonly #fields: number;
  readonly #fieldCount: number;

  private constructor(file: Bytes, at: number) {
    this.#file = file;
    this.#at = at;
    this.#fields = at - file.i32(at);
    this.#fieldCount = (file.u16(this.#fields) - 4) / 2;
  }

  static root(bytes: Uint8Array): Table {
    const file = new Bytes(bytes);
    return new Table(file, file.u32(0));
  }

  /** 0 if it is left out, as for all numbers below. */
  u8(field: number): number {
    const at = this.#place(field);
    return at === undefined ? 0 : this.#file.u8(at);
  }

  i32(field: number, otherwise = 0): number {
    const at = this.#place(field);
    return at === undefined ? otherwise : this.#file.i32(at);
  }

  u32(field: number): number {
    const at = this.#place(field);
    return at === undefined ? 0 : this.#file.u32(at);
  }

  f32(field: number): number {
    const at = this.#place(field);
    return at === undefined ? 0 : this.#file.f32(at);
  }

  text(field: number): string {
    const vector = this.#vector(field, 1);
    return vector ? new TextDecoder().decode(this.#file.slice(vector.at, vector.length)) : "";
  }

  bytes(field: number): Uint8Array | undefined {
    const vector = this.#vector(field, 1);
    return vector && this.#file.slice(vector.at, vector.length);
  }

  i32s(field: number): number[] | undefined {
    const vector = this.#vector(field, 4);
    return vector && Array.from({ length: vector.length }, (_, i) => this.#file.i32(vector.at + 4 * i));
  }

  table(field: number): Table | undefined {
    const at = this.#place(field);
    return at === undefined ? undefined : new Table(this.#file, at + this.#file.u32(at));
  }

  tables(field: number): Table[] {
    const vector = this.#vector(field, 4);
    return Array.from({ length: vector?.length ?? 0 }, (_, i) => {
      const at = (vector?.at ?? 0) + 4 * i;
      return new Table(this.#file, at + this.#file.u32(at));
    });
  }

  #place(field: number): number | undefined {
    if (field >= this.#fieldCount) return undefined;
    const offset = this.#file.u16(this.#fields + 4 + 2 * field);
    return offset === 0 ? undefined : this.#at + offset;
  }

  /** Where the elements are, all of them inside the file. */
  #vector(field: number, elementBytes: number): { at: number; length: number } | undefined {
    const place = this.#place(field);
    if (place === undefined) return undefined;
    const at = place + this.#file.u32(place);
    const length = this.#file.u32(at);
    this.#file.check(at + 4, length * elementBytes);
    return { at: at + 4, length };
  }
}

/** Little-endian numbers at checked places. */
class Bytes {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  u8(at: number): number {
    return this.#view.getUint8(this.check(at, 1));
  }

  u16(at: number): number {
    return this.#view.getUint16(this.check(at, 2), true);
  }

  u32(at: number): number {
    return this.#view.getUint32(this.check(at, 4), true);
  }

  i32(at: number): number {
    return this.#view.getInt32(this.check(at, 4), true);
  }

  f32(at: number): number {
    return this.#view.getFloat32(this.check(at, 4), true);
  }

  slice(at: number, length: number): Uint8Array {
    this.check(at, length);
    return this.#bytes.subarray(at, at + length);
  }

  check(at: number, size: number): number {
    if (at >= 0 && at + size <= this.#bytes.length) return at;
    throw new Failure(
      "import/malformed",
      `damaged or truncated file: ${size} bytes announced at ${at} of ${this.#bytes.length}`,
    );
  }
}
