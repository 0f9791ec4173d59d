import type { AcceleratorProfile } from "../../device-profiles/accelerator.ts";
import type { Refusal, Reply } from "../protocol/commands.ts";
import { crc32 } from "../protocol/crc.ts";
import { INPUT_BITS, maxLevel, planeCount } from "../tiles/planes.ts";
import { FINEST_STEP } from "./converter.ts";
import { seedOf } from "./physics.ts";
import { readPlan } from "./readout.ts";
import { Tile } from "./tile.ts";

export interface ChipStart {
  /** Which chip it is: its cells, columns and noise. Default 1. */
  readonly seed?: number;
  /** Age that a tile has as soon as it is programmed. Default 0. */
  readonly ageSeconds?: number;
  /** Default: the profile's reference. */
  readonly temperatureC?: number;
}

/** Why a command is not done. */
export class Refused extends Error {
  readonly refusal: Refusal;
  constructor(refusal: Refusal) {
    super(refusal);
    this.refusal = refusal;
  }
}

/** What a tile holds: levels as written, and the programmed array once they are committed. */
interface Site {
  readonly written: Uint8Array;
  programmed: { readonly tile: Tile; ageSeconds: number } | undefined;
}

const RESULT_HEADER_BYTES = 4;
/** Rows that the self-test reads together: well above a column's offset, and within what 6 bits can say. */
const TEST_ROWS = 16;
const NO_COLUMN = 0xffff;
/** What electronics live through. */
const [COLDEST_C, HOTTEST_C] = [-55, 150];

/** All tiles of a device, and the room that it stands in. Throws Refused for what it cannot do. */
export class Chip {
  readonly #profile: AcceleratorProfile;
  readonly #bornAgeSeconds: number;
  #seed: number;
  #temperatureC: number;
  #sites = new Map<number, Site>();
  /** How often tiles were changed on purpose since power-on. */
  #revision = 0;
  #products = 0;
  #saturated = 0;
  #deadColumn = NO_COLUMN;

  constructor(profile: AcceleratorProfile, { seed = 1, ageSeconds = 0, temperatureC }: ChipStart = {}) {
    this.#profile = profile;
    this.#seed = seed;
    this.#bornAgeSeconds = ageSeconds;
    this.#temperatureC = temperatureC ?? profile.temperature.referenceC;
  }

  /** Eight bytes, from the seed. */
  get uid(): Uint8Array {
    const id = new DataView(new ArrayBuffer(8));
    id.setUint32(0, seedOf(this.#seed, 3));
    id.setUint32(4, this.#seed);
    return new Uint8Array(id.buffer);
  }

  get environment(): Reply<"environment"> {
    return {
      ageSeconds: this.#oldestSeconds(),
      temperatureMc: Math.round(1000 * this.#temperatureC),
      seed: this.#seed,
    };
  }

  status(): Omit<Reply<"status">, "uptimeMs" | "frames" | "discarded"> {
    return {
      temperatureMc: Math.round(1000 * this.#temperatureC),
      ageSeconds: this.#oldestSeconds(),
      tilesCommitted: this.#programmed().length,
      revision: this.#revision >>> 0,
      products: this.#products >>> 0,
      saturated: this.#saturated >>> 0,
    };
  }

  /** Volatile cells and buffers are lost. */
  powerCycle(): void {
    this.#sites = new Map();
    this.#revision = 0;
  }

  /** Lets every programmed tile be this old. Tiles that are programmed later are fresh again. */
  age(seconds: number): void {
    for (const site of this.#programmed()) site.ageSeconds = seconds;
    this.#expose();
  }

  heat(temperatureC: number): void {
    if (!(temperatureC >= COLDEST_C && temperatureC <= HOTTEST_C)) throw new Refused("out-of-range");
    this.#temperatureC = temperatureC;
    this.#expose();
  }

  /** Another chip of the same kind, not programmed. */
  replace(seed: number): void {
    this.#seed = seed;
    this.powerCycle();
  }

  write(index: number, offset: number, levels: Uint8Array): void {
    const { written } = this.#site(index);
    if (offset + levels.length > written.length) throw new Refused("out-of-range");
    const limit = maxLevel(this.#profile.array);
    for (const level of levels) if (Math.abs(signed(level)) > limit) throw new Refused("out-of-range");
    written.set(levels, offset);
  }

  digest(index: number, length: number): number {
    const { written } = this.#site(index);
    if (length > written.length) throw new Refused("out-of-range");
    return crc32(written.subarray(0, length));
  }

  commit(index: number, rows: number, columns: number): void {
    const { array } = this.#profile;
    if (rows < 1 || rows > array.rows || columns < 1 || columns > array.columns) throw new Refused("out-of-range");
    const site = this.#site(index);
    const tile = site.programmed?.tile ?? new Tile(this.#profile, seedOf(this.#seed, index));
    const ageSeconds = this.#bornAgeSeconds;
    const levels = new Int8Array(site.written.buffer, 0, rows * columns);
    tile.program(levels, rows, columns, { ageSeconds, temperatureC: this.#temperatureC });
    site.programmed = { tile, ageSeconds };
    this.#revision++;
  }

  setRange(index: number, bytes: Uint8Array, reads: Uint8Array): void {
    const tile = this.#tile(index);
    const planes = planeCount(this.#profile.array);
    if (bytes.length !== 4 * tile.columns || reads.length !== planes * INPUT_BITS) throw new Refused("malformed");
    const steps = new Uint32Array(bytes.slice().buffer);
    const finest = steps.reduce((least, step) => Math.min(least, step));
    for (let plane = 0; plane < planes; plane++) {
      for (let bit = 0; bit < INPUT_BITS; bit++) {
        const { finer, repeats } = readPlan(reads, plane, bit);
        const possible = finer + repeats <= plane + bit && finest >>> finer >= FINEST_STEP;
        if (!possible) throw new Refused("out-of-range");
      }
    }
    tile.setRange(steps, reads);
    this.#revision++;
  }

  multiply(index: number, width: number, vectors: Uint8Array, mtu: number): Reply<"multiply"> {
    const tile = this.#tile(index);
    if ((width !== 2 && width !== 4) || vectors.length % tile.rows !== 0) throw new Refused("malformed");
    const count = vectors.length / tile.rows;
    if (count * tile.columns * width + RESULT_HEADER_BYTES > mtu) throw new Refused("out-of-range");
    const sums = new Int32Array(count * tile.columns);
    const saturated = this.#convert(tile, vectors, sums);
    this.#products += count;
    this.#saturated += saturated;
    return { saturated: Math.min(saturated, 0xffff), sums: width === 4 ? bytesOf(sums) : bytesOf(narrow(sums)) };
  }

  /** What one row's cells read as. */
  readRow(index: number, row: number): Reply<"readRow"> {
    const tile = this.#tile(index);
    if (row >= tile.rows) throw new Refused("out-of-range");
    const sums = new Int32Array(tile.columns);
    this.#convert(
      tile,
      Uint8Array.from({ length: tile.rows }, (_, i) => Number(i === row)),
      sums,
    );
    return { sums: bytesOf(narrow(sums)) };
  }

  /** Whether there is a self-test for cells like these. */
  get testsItself(): boolean {
    const { array, converter } = this.#profile;
    return array.cells === "bit-planes" && converter.bits > 0;
  }

  /** All cells hold the largest level, column by column of the other sign. The tile is empty afterwards. */
  selfTest(index: number): Reply<"selfTest"> {
    if (!this.testsItself) throw new Refused("unsupported");
    const { rows, columns } = this.#profile.array;
    const level = maxLevel(this.#profile.array);
    const site = this.#site(index);
    site.programmed = undefined;
    site.written.forEach((_, i) => {
      site.written[i] = (i % columns) % 2 === 0 ? level : -level;
    });
    this.commit(index, rows, columns);
    const weakOf = new Uint16Array(columns);
    const groups = Math.floor(rows / TEST_ROWS);
    const sums = new Int32Array(columns);
    for (let group = 0; group < groups; group++) {
      const vector = Uint8Array.from({ length: rows }, (_, row) => Number(Math.floor(row / TEST_ROWS) === group));
      this.#convert(this.#tile(index), vector, sums);
      for (let column = 0; column < columns; column++) {
        const read = 2 * (column % 2 === 0 ? sums[column] : -sums[column]);
        if (read < TEST_ROWS * level || read > 3 * TEST_ROWS * level) weakOf[column]++;
      }
    }
    site.programmed = undefined;
    site.written.fill(0);
    const deadColumns = new Uint8Array(Math.ceil(columns / 8));
    weakOf.forEach((weak, column) => {
      if (weak === groups) deadColumns[column >> 3] |= 1 << (column & 7);
    });
    return { groups: groups * columns, weak: weakOf.reduce((sum, weak) => sum + weak, 0), deadColumns };
  }

  /** Its converter says 0 from now on, in all tiles. */
  breakColumn(column: number): void {
    this.#deadColumn = column;
  }

  #convert(tile: Tile, vectors: Uint8Array, sums: Int32Array): number {
    const saturated = tile.multiply(vectors, sums);
    const { columns } = tile;
    if (this.#deadColumn < columns) for (let i = this.#deadColumn; i < sums.length; i += columns) sums[i] = 0;
    return saturated;
  }

  #programmed(): { readonly tile: Tile; ageSeconds: number }[] {
    return [...this.#sites.values()].flatMap(({ programmed }) => (programmed ? [programmed] : []));
  }

  #oldestSeconds(): number {
    return this.#programmed().reduce((oldest, { ageSeconds }) => Math.max(oldest, ageSeconds), 0);
  }

  #expose(): void {
    const temperatureC = this.#temperatureC;
    for (const { tile, ageSeconds } of this.#programmed()) tile.expose({ ageSeconds, temperatureC });
  }

  #site(index: number): Site {
    const { tiles, rows, columns } = this.#profile.array;
    if (index >= tiles) throw new Refused("no-such-tile");
    const site = this.#sites.get(index) ?? { written: new Uint8Array(rows * columns), programmed: undefined };
    this.#sites.set(index, site);
    return site;
  }

  #tile(index: number): Tile {
    const { programmed } = this.#site(index);
    if (!programmed) throw new Refused("not-committed");
    return programmed.tile;
  }
}

function narrow(sums: Int32Array): Int16Array {
  const short = Int16Array.from(sums);
  if (!short.every((sum, i) => sum === sums[i])) throw new Refused("too-wide");
  return short;
}

/** As they lie in memory: little-endian, on every machine that Node runs on. */
function bytesOf(values: Int16Array | Int32Array): Uint8Array {
  return new Uint8Array(values.buffer);
}

function signed(byte: number): number {
  return (byte << 24) >> 24;
}
