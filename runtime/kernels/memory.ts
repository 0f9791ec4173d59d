import { Failure } from "../base/failure.ts";
import type { Arena } from "./arena.ts";
import { MAGIC } from "./rounding.ts";
import type { Slot } from "./step.ts";

const PAGE = 65536;
/** What every kernel knows (assembly/memory.ts): where scratch begins, what rounds, ones, sign bits, room for ten vectors. */
const HEADER = 176;
/** Kernels read whole vectors, so up to this many bytes past the end of anything. They never write there. */
const SLACK = 64;

/**
 * One wasm memory: header, arena, constants, scratch. Constants are only ever added; scratch is shared by all steps,
 * holds nothing between them, and moves up when constants are added. Addresses survive growth, views don't.
 */
export class Memory implements Arena {
  readonly wasm: WebAssembly.Memory;
  bytes: Uint8Array = new Uint8Array();
  floats: Float32Array = new Float32Array();
  readonly #constantsAt: number;
  #top: number;
  #scratchBytes = 0;

  constructor(arenaBytes: number) {
    this.wasm = created(pagesOf(HEADER + arenaBytes + SLACK));
    this.#constantsAt = aligned(HEADER + arenaBytes);
    this.#top = this.#constantsAt;
    this.#settle();
    new Float32Array(this.wasm.buffer, 4, 1)[0] = MAGIC;
    new Uint32Array(this.wasm.buffer, 8, 2).set([0x00010001, 0x80808080]);
  }

  /** Constants and scratch. */
  get constantBytes(): number {
    return this.#top + this.#scratchBytes - this.#constantsAt;
  }

  address(slot: Slot): number {
    return HEADER + slot.offset;
  }

  /** Copies a constant in and returns its address, a multiple of 16. */
  keep(data: ArrayBufferView): number {
    const at = this.#top;
    this.#top = aligned(at + data.byteLength);
    this.#settle();
    const from = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    new Uint8Array(this.wasm.buffer).set(from, at);
    return at;
  }

  /** Makes sure that there are so many bytes of scratch. */
  scratch(bytes: number): void {
    this.#scratchBytes = Math.max(this.#scratchBytes, bytes);
    this.#settle();
  }

  #settle(): void {
    const missing = this.#top + this.#scratchBytes + SLACK - this.wasm.buffer.byteLength;
    if (missing > 0) grow(this.wasm, pagesOf(missing));
    new Uint32Array(this.wasm.buffer, 0, 1)[0] = this.#top;
    if (this.bytes.buffer === this.wasm.buffer) return;
    this.bytes = new Uint8Array(this.wasm.buffer, HEADER);
    this.floats = new Float32Array(this.wasm.buffer, HEADER);
  }
}

function pagesOf(bytes: number): number {
  return Math.ceil(bytes / PAGE);
}

function aligned(address: number): number {
  return address + (-address & 15);
}

function created(pages: number): WebAssembly.Memory {
  try {
    return new WebAssembly.Memory({ initial: pages });
  } catch (cause) {
    throw new Failure("plan/does-not-fit", `no memory for an arena of ${pages} pages of 64 KiB`, { pages }, cause);
  }
}

function grow(memory: WebAssembly.Memory, pages: number): void {
  try {
    memory.grow(pages);
  } catch (cause) {
    throw new Failure("plan/does-not-fit", `no memory for ${pages} more pages of 64 KiB`, { pages }, cause);
  }
}
