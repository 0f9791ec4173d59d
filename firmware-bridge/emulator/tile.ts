import type { AcceleratorProfile } from "../../device-profiles/accelerator.ts";
import { cellTarget, INPUT_BITS, planeCount } from "../planes.ts";
import { Converters, UNIT } from "./converter.ts";
import { pcmCells } from "./pcm.ts";
import { type CellModel, type Cells, type Environment, seedOf } from "./physics.ts";
import { sramCells } from "./sram.ts";

/** Rows that one pass over the sums takes up together: fewer loads and stores of the sums. */
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
  readonly #steps: Float32Array;
  /** Rows x lanes in use and one more row of zeros, fixed point; undefined when something has changed. */
  #conductances: Int32Array | undefined;
  #sums = new Int32Array(0);
  readonly #active: Int32Array;

  constructor(profile: AcceleratorProfile, seed: number) {
    const { rows, columns } = profile.array;
    const lanes = planeCount(profile.array) * columns;
    this.#profile = profile;
    this.#cells = cellModel(profile, seedOf(seed, 1));
    this.#converters = new Converters(profile, lanes, seedOf(seed, 2));
    this.#targets = new Float32Array(rows * lanes);
    this.#steps = new Float32Array(columns).fill(1);
    this.#active = new Int32Array(rows + STRIDE);
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

  /** Steps of the converters in unit cells, one per column; all planes of a column share theirs. */
  setSteps(steps: Float32Array): void {
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

  /** Lists where the conductances of the rows with this input bit begin, padded to whole strides with rows of zeros. */
  #activate(vectors: Uint8Array, from: number, bit: number): number {
    const active = this.#active;
    const lanes = this.#sums.length;
    const rows = this.#rows;
    let count = 0;
    for (let row = 0; row < rows; row++) {
      active[count] = row * lanes;
      count += (vectors[from + row] >> bit) & 1;
    }
    for (let i = 0; i < STRIDE; i++) active[count + i] = rows * lanes;
    return count;
  }

  #prepare(): Int32Array {
    const lanes = Array.from({ length: planeCount(this.#profile.array) * this.#columns }, (_, i) => ({
      lane: this.#place(0, Math.floor(i / this.#columns), i % this.#columns),
      step: this.#steps[i % this.#columns],
    }));
    const all = this.#cells.conductances(this.#targets, this.#generation, this.#environment);
    const used = new Int32Array((this.#rows + 1) * lanes.length);
    for (let row = 0; row < this.#rows; row++) {
      const from = this.#place(row, 0, 0);
      for (let i = 0; i < lanes.length; i++)
        used[row * lanes.length + i] = Math.round(UNIT * all[from + lanes[i].lane]);
    }
    this.#converters.prepare(lanes, this.#environment);
    this.#sums = new Int32Array(lanes.length);
    this.#conductances = used;
    return used;
  }

  #place(row: number, plane: number, column: number): number {
    const { array } = this.#profile;
    return (row * planeCount(array) + plane) * array.columns + column;
  }
}

/** sums = the rows at active[0 .. count-1] added up. */
function accumulate(sums: Int32Array, conductances: Int32Array, active: Int32Array, count: number): void {
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
  return cells.model === "pcm" ? pcmCells(profile, cells, seed) : ideal;
};
