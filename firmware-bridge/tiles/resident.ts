import type { AcceleratorProfile } from "../../device-profiles/accelerator.ts";
import type { UnitLayer } from "../../runtime/plan/unit.ts";
import { center, columnMeans } from "../../runtime/tensor/linear.ts";
import { product } from "../../runtime/tensor/products.ts";
import { heldRange } from "./accumulator.ts";
import { type Block, typicalOf } from "./mapping.ts";
import { INPUT_BITS, usedBits } from "./planes.ts";
import { chooseRange, type Range } from "./ranges.ts";
import { type Trim, trimOf, untrimmed } from "./trim.ts";

/** A block on its tile, ready to multiply. */
export interface Resident {
  readonly block: Block;
  /** Typical inputs of the block's rows, count x rows. */
  readonly typical: Uint8Array;
  /** For fresh cells, and as the converters are set now. */
  readonly freshRange: Range;
  range: Range;
  /** What the cells make of the levels by now, rows x columns, in unit cells of a fresh tile's strength. */
  worth: Float32Array;
  trim: Trim;
  /** Of its signals when it was last programmed or trimmed, of fresh ones'. */
  strength: number;
  /** What an empty tile answered to one row (read-back.ts), where that was asked. */
  readonly emptyRow: Float64Array | undefined;
  /** Input bits x columns: what each used input bit adds to a sum, in converter codes; see offsets.ts. */
  offsets: Float32Array;
  /** Bytes per sum: two until the device says that they do not suffice. */
  width: 2 | 4;
}

/** @throws Failure `plan/does-not-fit` if its sums can overflow the accelerator's accumulators */
export function resident(
  profile: AcceleratorProfile,
  layer: UnitLayer,
  block: Block,
  emptyRow?: Float64Array | undefined,
): Resident {
  const typical = typicalOf(layer, block);
  const freshRange = heldRange(profile, block, chooseRange(profile, block, typical));
  return {
    block,
    typical,
    freshRange,
    range: freshRange,
    worth: block.worth,
    trim: untrimmed(block.columns),
    strength: 1,
    emptyRow,
    offsets: new Float32Array(INPUT_BITS * block.columns),
    width: 2,
  };
}

/** A tile's answers: sums in converter codes, and which input bits each vector used. */
export interface Answers {
  readonly sums: Int32Array;
  readonly bits: Uint8Array;
}

/** Partial sums of all vectors, without offsets, trimmed and in weight units, onto the products. */
export function add(products: Float32Array, columns: number, resident: Resident, answers: Answers): void {
  const { block, trim } = resident;
  const levels = levelsOf(resident, answers);
  for (let i = 0; i < answers.bits.length; i++) {
    const [from, to] = [i * block.columns, i * columns + block.fromColumn];
    for (let j = 0; j < block.columns; j++) {
      products[to + j] += (trim.gain[j] * levels[from + j] + trim.shift[j]) * block.scales[j];
    }
  }
}

/** Gain and offset of each column by the tile's answers to its typical inputs. */
export function trimmed(resident: Resident, sums: Int32Array): Trim {
  const { block, typical } = resident;
  const answers = levelsOf(resident, { sums, bits: usedBits(typical, block.rows) });
  const meant = Float32Array.from(meantBy(block.worth, resident));
  return trimOf(answers, meant, typical.length / block.rows, block.columns);
}

/** Sums without offsets, in levels of fresh cells. */
function levelsOf(resident: Resident, { sums, bits }: Answers): Float32Array {
  const { freshRange, block } = resident;
  const offsetsOf = patterns(resident);
  const levels = new Float32Array(sums.length);
  for (let i = 0; i < bits.length; i++) {
    const offsets = offsetsOf(bits[i]);
    for (let j = 0; j < block.columns; j++) {
      const at = i * block.columns + j;
      // Steps that shrank with the signal leave the answer as strong as it was.
      levels[at] = (sums[at] - offsets[j]) * freshRange.steps[j];
    }
  }
  return levels;
}

/** What cells of this worth answer to the typical inputs, count x columns, in levels. */
function meantBy(worth: Float32Array, { block: { rows, columns }, typical }: Resident): Float64Array {
  return product(typical, worth, typical.length / rows, rows, columns);
}

/** The offsets of all input bits in a pattern, each pattern added up once. */
function patterns({ offsets, block: { columns } }: Resident): (bits: number) => Float32Array {
  const known = new Map<number, Float32Array>();
  return (bits) => {
    const found = known.get(bits) ?? new Float32Array(columns);
    if (known.has(bits)) return found;
    for (let bit = 0; bit < INPUT_BITS; bit++) {
      if ((bits >> bit) & 1) for (let j = 0; j < columns; j++) found[j] += offsets[bit * columns + j];
    }
    known.set(bits, found);
    return found;
  };
}

/** Bounds of a believable strength. */
const WEAKEST = 0.1;
const STRONGEST = 1.5;

/**
 * How strong the signals are by now: regression of `sums`, the tile's answer to its typical inputs, on what the answer
 * should be, over all columns.
 */
export function strengthOf(resident: Resident, sums: Int32Array): number {
  const { block, worth, range, typical } = resident;
  const { rows, columns } = block;
  const meant = meantBy(worth, resident);
  center(meant, columnMeans(meant, typical.length / rows, columns));
  let [covariance, variance] = [0, 0];
  for (const [i, level] of meant.entries()) {
    covariance += level * sums[i] * range.steps[i % columns];
    variance += level ** 2;
  }
  return variance > 0 ? Math.min(Math.max(covariance / variance, WEAKEST), STRONGEST) : 1;
}
