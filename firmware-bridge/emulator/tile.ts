import type { AcceleratorProfile } from "../../device-profiles/accelerator.ts";
import { cellTarget, INPUT_BITS, planeCount } from "../planes.ts";
import { Converters, UNIT } from "./converter.ts";
import { ONE } from "./fixed.ts";
import { pcmCells } from "./pcm.ts";
import { type CellModel, type Cells, type Environment, seedOf } from "./physics.ts";
import { reramCells } from "./reram.ts";
import { sramCells } from "./sram.ts";

/** Rows that are added up beforehand, for every pattern of an input bit in them. */
const GROUP = 4;
const PATTERNS = 2 ** GROUP;
/** Groups that one pass over the sums takes up together: fewer loads and stores of the sums. */
const STRIDE = 4;

/** One tile of the array: cells that hold levels, and converters that read the columns' sums bit plane by bit plane. */
export class Tile {
  readonly #profile: AcceleratorProfile;
  readonly #cells: Cells;
  readonly #converters: Converters;
  readonly #targets: Float32Array;
  #generation = 0;
  #environment: Environment = { ageSeconds: 0, temperatureC: 0 };
  #rows = 0;
  #columns = 0;
  /** Q16. */
  readonly #steps: Uint32Array;
  /** Groups x patterns x lanes in use and one row of zeros, fixed point; undefined when something has changed. */
  #conductances: Int16Array | undefined;
  #sums = new Int32Array(0);
  readonly #active: Int32Array;

  constructor(profile: AcceleratorProfile, seed: number) {
    const { rows, columns } = profile.array;
    const lanes = planeCount(profile.array) * columns;
    this.#profile = profile;
    this.#cells = cellModel(profile, seedOf(seed, 1));
    this.#converters = new Converters(profile, lanes, seedOf(seed, 2));
    this.#targets = new Float32Array(rows * lanes);
    this.#steps = new Uint32Array(columns).fill(ONE);
    this.#active = new Int32Array(rows / GROUP + 1 + STRIDE);
  }

  get rows(): number {
    return this.#rows;
  }

  get columns(): number {
    return this.#columns;
  }

  /** `levels`: rows x columns, row by row. What is outside keeps nothing. */
  program(levels: Int8Array, rows: number, columns: number, environment: Environment): void {
    const { array } = this.#profile;
    this.#targets.fill(0);
    for (let plane = 0; plane < planeCount(array); plane++) {
      for (let i = 0; i < rows * columns; i++) {
        const place = this.#place(Math.floor(i / columns), plane, i % columns);
        this.#targets[place] = cellTarget(array, levels[i], plane);
      }
    }
    this.#rows = rows;
    this.#columns = columns;
    this.#generation++;
    this.expose(environment);
  }

  /** Steps of the converters in unit cells, Q16, one per column; all planes of a column share theirs. */
  setSteps(steps: Uint32Array): void {
    this.#steps.set(steps);
    this.#conductances = undefined;
  }

  expose(environment: Environment): void {
    this.#environment = environment;
    this.#conductances = undefined;
  }

  /**
   * `vectors`: whole vectors of `rows` codes. Writes one sum per column for each of them to `totals`, in converter
   * codes. Returns how many conversions hit an end of the range.
   */
  multiply(vectors: Uint8Array, totals: Int32Array): number {
    const conductances = this.#conductances ?? this.#prepare();
    totals.fill(0);
    let saturated = 0;
    for (let from = 0, to = 0; from < vectors.length; from += this.#rows, to += this.#columns) {
      for (let bit = 0; bit < INPUT_BITS; bit++) {
        const active = this.#activate(vectors, from, bit);
        if (active === 0 && this.#profile.converter.skipsEmptyPlanes) continue;
        accumulate(this.#sums, conductances, this.#active, active);
        saturated += this.#converters.convert(this.#sums, this.#columns, bit, totals, to);
      }
    }
    return saturated;
  }

  /** Lists where the sums of the groups with this input bit begin, padded to whole strides with zeros. */
  #activate(vectors: Uint8Array, from: number, bit: number): number {
    const active = this.#active;
    const lanes = this.#sums.length;
    const end = from + this.#rows;
    let count = 0;
    let group = 0;
    for (let row = from; row < end; row += GROUP, group += PATTERNS) {
      let pattern = 0;
      for (let i = Math.min(end, row + GROUP) - 1; i >= row; i--) pattern = 2 * pattern + ((vectors[i] >> bit) & 1);
      active[count] = (group + pattern) * lanes;
      if (pattern !== 0) count++;
    }
    for (let i = 0; i < STRIDE; i++) active[count + i] = group * lanes;
    return count;
  }

  #prepare(): Int16Array {
    const { array } = this.#profile;
    const lanes = Array.from({ length: planeCount(array) * this.#columns }, (_, i) => ({
      lane: this.#place(0, Math.floor(i / this.#columns), i % this.#columns),
      step: this.#steps[i % this.#columns],
    }));
    const all = this.#cells.conductances(this.#targets, this.#generation, this.#environment);
    const table = new Int16Array((Math.ceil(this.#rows / GROUP) * PATTERNS + 1) * lanes.length);
    for (let row = 0; row < this.#rows; row++) {
      const from = this.#place(row, 0, 0);
      const cells = Int16Array.from(lanes, ({ lane }) => Math.round(UNIT * all[from + lane]));
      addPatterns(table.subarray(Math.floor(row / GROUP) * PATTERNS * lanes.length), cells, row % GROUP);
    }
    this.#converters.prepare(lanes, this.#environment);
    this.#sums = new Int32Array(lanes.length);
    this.#conductances = table;
    return table;
  }

  #place(row: number, plane: number, column: number): number {
    const { array } = this.#profile;
    return (row * planeCount(array) + plane) * array.columns + column;
  }
}

/** Adds a row's cells to all patterns of its group that it is in. */
function addPatterns(table: Int16Array, cells: Int16Array, bit: number): void {
  for (let pattern = 0; pattern < PATTERNS; pattern++) {
    if (((pattern >> bit) & 1) === 0) continue;
    const at = pattern * cells.length;
    for (let lane = 0; lane < cells.length; lane++) table[at + lane] += cells[lane];
  }
}

/** sums = the entries at active[0 .. count-1] added up. */
function accumulate(sums: Int32Array, conductances: Int16Array, active: Int32Array, count: number): void {
  sums.fill(0);
  for (let i = 0; i < count; i += STRIDE) {
    const a = active[i];
    const b = active[i + 1];
    const c = active[i + 2];
    const d = active[i + 3];
    for (let lane = 0; lane < sums.length; lane++) {
      sums[lane] =
        (sums[lane] +
          conductances[a + lane] +
          conductances[b + lane] +
          conductances[c + lane] +
          conductances[d + lane]) |
        0;
    }
  }
}

const ideal: Cells = { conductances: (targets) => targets };

const cellModel: CellModel = (profile, seed) => {
  const { cells } = profile;
  if (cells.model === "sram") return sramCells(profile, cells, seed);
  if (cells.model === "reram") return reramCells(profile, cells, seed);
  return cells.model === "pcm" ? pcmCells(profile, cells, seed) : ideal;
};
