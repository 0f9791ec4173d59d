import type { AcceleratorProfile } from "../../device-profiles/accelerator.ts";
import { cellTarget, INPUT_BITS, planeCount } from "../tiles/planes.ts";
import { Converters } from "./converter.ts";
import { ONE } from "./fixed.ts";
import { pcmCells } from "./pcm.ts";
import { type CellModel, type Cells, type Environment, seedOf } from "./physics.ts";
import { type Read, type Readout, UNIT } from "./readout.ts";
import { bindReference } from "./readout-reference.ts";
import { bindWasm, suitsWasm } from "./readout-wasm.ts";
import { reramCells } from "./reram.ts";
import { sramCells } from "./sram.ts";

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
  readonly #reads: Uint8Array;
  /** Undefined when something has changed. */
  #read: Read | undefined;

  constructor(profile: AcceleratorProfile, seed: number) {
    const { rows, columns } = profile.array;
    const lanes = planeCount(profile.array) * columns;
    this.#profile = profile;
    this.#cells = cellModel(profile, seedOf(seed, 1));
    this.#converters = new Converters(profile, lanes, seedOf(seed, 2));
    this.#targets = new Float32Array(rows * lanes);
    this.#steps = new Uint32Array(columns).fill(ONE);
    this.#reads = new Uint8Array(planeCount(profile.array) * INPUT_BITS);
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

  /**
   * Steps of the converters in unit cells, Q16, one per column, and how each plane is read for each input bit
   * (readout.ts).
   */
  setRange(steps: Uint32Array, reads: Uint8Array): void {
    this.#steps.set(steps);
    this.#reads.set(reads);
    this.#read = undefined;
  }

  expose(environment: Environment): void {
    this.#environment = environment;
    this.#read = undefined;
  }

  /**
   * `vectors`: whole vectors of `rows` codes. Writes one sum per column for each of them to `totals`, in converter
   * codes, as the accumulator holds it. Returns how many conversions hit an end of the range.
   */
  multiply(vectors: Uint8Array, totals: Int32Array): number {
    this.#read ??= bind(this.readout());
    const saturated = this.#read(vectors, totals);
    // Two's complement wraps at its width, and does the same whether after each addition or after the last one.
    const spare = 32 - this.#profile.converter.accumulatorBits;
    if (spare > 0) for (const [i, total] of totals.entries()) totals[i] = (total << spare) >> spare;
    return saturated;
  }

  /** What it is now, for one way of reading it or the other. */
  readout(): Readout {
    const { array, converter } = this.#profile;
    const planes = planeCount(array);
    const lanes = Array.from({ length: planes * this.#columns }, (_, i) => ({
      lane: this.#place(0, Math.floor(i / this.#columns), i % this.#columns),
      step: this.#steps[i % this.#columns],
    }));
    const all = this.#cells.conductances(this.#targets, this.#generation, this.#environment);
    const rowCells = (row: number): number[] =>
      lanes.map(({ lane }) => Math.round(UNIT * all[this.#place(row, 0, 0) + lane]));
    return {
      rows: this.#rows,
      columns: this.#columns,
      planes,
      cells: Int32Array.from(Array.from({ length: this.#rows }, (_, row) => rowCells(row)).flat()),
      bits: converter.bits,
      ...this.#converters.prepare(lanes, this.#environment),
      skipsEmptyPlanes: converter.skipsEmptyPlanes,
      reads: this.#reads,
      noise: this.#converters.noise,
    };
  }

  #place(row: number, plane: number, column: number): number {
    const { array } = this.#profile;
    return (row * planeCount(array) + plane) * array.columns + column;
  }
}

function bind(readout: Readout): Read {
  return suitsWasm(readout) ? bindWasm(readout) : bindReference(readout);
}

const ideal: Cells = { conductances: (targets) => targets };

const cellModel: CellModel = (profile, seed) => {
  const { cells } = profile;
  if (cells.model === "sram") return sramCells(profile, cells, seed);
  if (cells.model === "reram") return reramCells(profile, cells, seed);
  return cells.model === "pcm" ? pcmCells(profile, cells, seed) : ideal;
};
