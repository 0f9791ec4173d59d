import type { AcceleratorProfile } from "../device-profiles/accelerator.ts";
import type { UnitLayer } from "../runtime/plan/unit.ts";
import type { Block } from "./mapping.ts";
import { INPUT_BITS } from "./planes.ts";
import { chooseRange, type Range } from "./ranges.ts";

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
  /** What an empty tile answered to one row (read-back.ts), where that was asked. */
  readonly emptyRow: Float64Array | undefined;
  /** Input bits x columns: what each used input bit adds to a sum, in converter codes; see offsets.ts. */
  offsets: Float32Array;
  /** Bytes per sum: two until the device says that they do not suffice. */
  width: 2 | 4;
}

export function resident(
  profile: AcceleratorProfile,
  layer: UnitLayer,
  block: Block,
  emptyRow?: Float64Array | undefined,
): Resident {
  const typical = slice(layer.typicalInputs, layer.rows, 0, layer.typicalInputs.length / layer.rows, block);
  const freshRange = chooseRange(profile, block, typical);
  return {
    block,
    typical,
    freshRange,
    range: freshRange,
    worth: block.worth,
    emptyRow,
    offsets: new Float32Array(INPUT_BITS * block.columns),
    width: 2,
  };
}

/** The block's rows of `length` vectors. */
export function slice(inputs: Uint8Array, rows: number, from: number, length: number, block: Block): Uint8Array {
  if (block.rows === rows) return inputs.subarray(from * rows, (from + length) * rows);
  const vectors = new Uint8Array(length * block.rows);
  for (let i = 0; i < length; i++) {
    const at = (from + i) * rows + block.fromRow;
    vectors.set(inputs.subarray(at, at + block.rows), i * block.rows);
  }
  return vectors;
}

/** A tile's answers: sums in converter codes, and which input bits each vector used. */
export interface Answers {
  readonly sums: Int32Array;
  readonly bits: Uint8Array;
}

/** Partial sums of all vectors, without offsets and in weight units, onto the products. */
export function add(products: Float32Array, columns: number, resident: Resident, { sums, bits }: Answers): void {
  const { block, freshRange } = resident;
  // Steps that shrank with the signal leave the answer as strong as it was.
  const worth = block.scales.map((scale, j) => scale * freshRange.steps[j]);
  const offsetsOf = patterns(resident);
  for (let i = 0; i < bits.length; i++) {
    const offsets = offsetsOf(bits[i]);
    const [from, to] = [i * block.columns, i * columns + block.fromColumn];
    for (let j = 0; j < block.columns; j++) products[to + j] += (sums[from + j] - offsets[j]) * worth[j];
  }
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
export function strengthOf({ block, worth, typical, range }: Resident, sums: Int32Array): number {
  const { rows, columns } = block;
  const count = typical.length / rows;
  let [covariance, variance] = [0, 0];
  for (let column = 0; column < columns; column++) {
    const meant = Float64Array.from({ length: count }, (_, v) => {
      let sum = 0;
      for (let row = 0; row < rows; row++) sum += typical[v * rows + row] * worth[row * columns + column];
      return sum;
    });
    const mean = meant.reduce((sum, value) => sum + value, 0) / count;
    for (let v = 0; v < count; v++) {
      covariance += (meant[v] - mean) * sums[v * columns + column] * range.steps[column];
      variance += (meant[v] - mean) ** 2;
    }
  }
  return variance > 0 ? Math.min(Math.max(covariance / variance, WEAKEST), STRONGEST) : 1;
}
