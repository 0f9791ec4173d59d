import { readFileSync } from "node:fs";
import { asset } from "../../runtime/base/assets.ts";
import { type Read, type Readout, STREAMS } from "./readout.ts";

/** Rows that are added up beforehand, for every pattern of an input bit in them. */
const GROUP = 4;
const PATTERNS = 2 ** GROUP;
/** Lanes that are read at once; planes are filled up to whole ones. */
const LANES = 8;
const PAGE = 65536;
const LARGEST_SUM = 32767;

interface Exports {
  describe(...numbers: readonly (number | boolean)[]): void;
  locate(...addresses: readonly number[]): void;
  read(vectors: number, count: number, totals: number): number;
}

/** Whether the kernel's sums of 16 bits are enough, whatever is multiplied. */
export function suitsWasm({ bits, rows, columns, planes, cells }: Readout): boolean {
  const lanes = planes * columns;
  const reach = new Int32Array(lanes);
  for (let i = 0; i < rows * lanes; i++) reach[i % lanes] += Math.abs(cells[i]);
  return bits > 0 && reach.every((sum) => sum <= LARGEST_SUM);
}

/** The same numbers as the reference, forty times as fast. */
export function bindWasm(tile: Readout): Read {
  const room = new Room();
  const table = room.put(patternTable(tile));
  const multipliers = room.put(filledUp(tile.multipliers, tile));
  const addends = room.put(filledUp(tile.addends, tile));
  const reads = room.put(tile.reads);
  const noise = room.put(tile.noise);
  const wide = filled(tile.columns);
  const sums = room.reserve(2 * tile.planes * wide);
  const active = room.reserve(4 * (Math.ceil(tile.rows / GROUP) + 1));
  const { describe, locate, read } = room.exports;
  const { rows, columns, planes, shift, noiseScale, bits } = tile;
  describe(rows, columns, planes, shift, noiseScale, 2 ** (bits - 1) - 1, tile.skipsEmptyPlanes);
  locate(table, multipliers, addends, reads, noise, sums, active);
  const free = room.end;
  return (vectors, totals) => {
    const count = vectors.length / rows;
    room.end = free;
    const from = room.put(vectors);
    const to = room.reserve(4 * count * wide + LANES);
    room.words(noise, STREAMS).set(tile.noise);
    const answer = room.words(to, count * wide).fill(0);
    const saturated = read(from, count, to);
    for (let i = 0; i < count; i++) totals.set(answer.subarray(i * wide, i * wide + columns), i * columns);
    tile.noise.set(room.words(noise, STREAMS));
    return saturated;
  };
}

/** The memory of one tile's kernel, filled from its start. */
class Room {
  readonly exports: Exports;
  readonly #memory: WebAssembly.Memory = new WebAssembly.Memory({ initial: 1 });
  end = 16;

  constructor() {
    const { exports } = new WebAssembly.Instance(kernel(), { env: { memory: this.#memory } });
    this.exports = exports as unknown as Exports;
  }

  reserve(bytes: number): number {
    const at = this.end;
    this.end += Math.ceil(bytes / 16) * 16;
    const missing = this.end - this.#memory.buffer.byteLength;
    if (missing > 0) this.#memory.grow(Math.ceil(missing / PAGE));
    return at;
  }

  put(values: Uint8Array | Int16Array | Int32Array | Uint32Array): number {
    // The kernel takes codes four at a time.
    const at = this.reserve(values.byteLength + 4);
    const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    new Uint8Array(this.#memory.buffer).set(bytes, at);
    return at;
  }

  words(at: number, length: number): Int32Array {
    return new Int32Array(this.#memory.buffer, at, length);
  }
}

let compiled: WebAssembly.Module | undefined;

function kernel(): WebAssembly.Module {
  compiled ??= new WebAssembly.Module(readFileSync(asset("firmware-bridge/emulator/readout.wasm")));
  return compiled;
}

/** groups x patterns x lanes: what each pattern of active rows adds up to. */
function patternTable({ rows, columns, planes, cells }: Readout): Int16Array {
  const wide = filled(columns);
  const lanes = planes * wide;
  const table = new Int16Array(Math.ceil(rows / GROUP) * PATTERNS * lanes);
  for (let i = 0; i < cells.length; i++) {
    const [row, lane] = [Math.floor(i / (planes * columns)), i % (planes * columns)];
    const to = Math.floor(lane / columns) * wide + (lane % columns);
    const group = Math.floor(row / GROUP) * PATTERNS;
    for (let pattern = 0; pattern < PATTERNS; pattern++) {
      if ((pattern >> (row % GROUP)) & 1) table[(group + pattern) * lanes + to] += cells[i];
    }
  }
  return table;
}

function filledUp(values: Int32Array, { columns, planes }: Readout): Int32Array {
  const wide = filled(columns);
  const out = new Int32Array(planes * wide);
  for (let plane = 0; plane < planes; plane++) {
    out.set(values.subarray(plane * columns, (plane + 1) * columns), plane * wide);
  }
  return out;
}

function filled(columns: number): number {
  return Math.ceil(columns / LANES) * LANES;
}
