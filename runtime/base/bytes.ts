import { Failure } from "./failure.ts";

/** Little-endian reading from front to back. Reading past the end, or stopping before it, is a failure. */
export class Reader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;

  constructor(bytes: Uint8Array) {
    // A Buffer's slice would be a view of the same memory, not a copy.
    this.#bytes = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  u8(): number {
    return this.#view.getUint8(this.#take(1));
  }

  u16(): number {
    return this.#view.getUint16(this.#take(2), true);
  }

  u32(): number {
    return this.#view.getUint32(this.#take(4), true);
  }

  i32(): number {
    return this.#view.getInt32(this.#take(4), true);
  }

  f32(): number {
    return this.#view.getFloat32(this.#take(4), true);
  }

  bytes(length: number): Uint8Array {
    const at = this.#take(length);
    return this.#bytes.slice(at, at + length);
  }

  end(): void {
    const rest = this.#bytes.length - this.#at;
    if (rest > 0) throw new Failure("bytes/left-over", `${rest} bytes after the end`);
  }

  #take(size: number): number {
    const at = this.#at;
    if (at + size > this.#bytes.length) {
      throw new Failure("bytes/truncated", `${size} bytes wanted at ${at} of ${this.#bytes.length}`);
    }
    this.#at = at + size;
    return at;
  }
}

/** Little-endian writing to the end of a growing buffer. */
export class Writer {
  #view = new DataView(new ArrayBuffer(64));
  #at = 0;

  u8(value: number): void {
    this.#room(1).setUint8(this.#at - 1, value);
  }

  u16(value: number): void {
    this.#room(2).setUint16(this.#at - 2, value, true);
  }

  u32(value: number): void {
    this.#room(4).setUint32(this.#at - 4, value, true);
  }

  i32(value: number): void {
    this.#room(4).setInt32(this.#at - 4, value, true);
  }

  f32(value: number): void {
    this.#room(4).setFloat32(this.#at - 4, value, true);
  }

  bytes(data: Uint8Array): void {
    new Uint8Array(this.#room(data.length).buffer).set(data, this.#at - data.length);
  }

  finish(): Uint8Array {
    return new Uint8Array(this.#view.buffer).slice(0, this.#at);
  }

  /** Moves on by `size` bytes; they are right before `#at` in what is returned, which may be another buffer than before. */
  #room(size: number): DataView<ArrayBuffer> {
    this.#at += size;
    if (this.#at > this.#view.byteLength) {
      const grown = new Uint8Array(Math.max(this.#at, 2 * this.#view.byteLength));
      grown.set(new Uint8Array(this.#view.buffer));
      this.#view = new DataView(grown.buffer);
    }
    return this.#view;
  }
}
