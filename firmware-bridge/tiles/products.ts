import { type Gate, highPart } from "../../runtime/polarize/gate.ts";
import type { Session } from "../session.ts";
import { slice } from "./mapping.ts";
import { usedBits } from "./planes.ts";
import { add, type Resident } from "./resident.ts";
import { batches, sumsOf } from "./sums.ts";

/** What a gate has saved so far. Counted are input planes of tiles: one bit of all codes of one vector in one tile. */
export interface PlaneSavings {
  /** Planes that are not empty, and those of them that were not read. */
  planes: number;
  skippedPlanes: number;
  /** Outputs, and those that the gate did not need the low bits of: as many as could be saved column by column. */
  outputs: number;
  heldBack: number;
}

/** A gate on a layer, and where to count what it saves. */
export interface Gated {
  readonly gate: Gate;
  readonly savings: PlaneSavings;
}

/** What the tile of a block has answered so far, and which input bits of each vector that was for. */
interface Part {
  readonly resident: Resident;
  readonly sums: Int32Array;
  readonly bits: Uint8Array;
}

/** Of one layer: its blocks, and `count` vectors of `rows` codes. */
export interface LayerProducts {
  readonly residents: readonly Resident[];
  readonly rows: number;
  readonly columns: number;
  readonly inputs: Uint8Array;
  readonly count: number;
}

/**
 * Products of whole vectors, in weight units. With a gate the high input planes are read first, and the low ones of a
 * vector only from tiles with an output that needs them: sums are linear in the planes and empty ones are not read, so
 * the sums of both are those of whole codes, each plane with its noise and its offset once.
 * @throws Failure as Session.request
 */
export async function productsOf(session: Session, asked: LayerProducts, gated?: Gated): Promise<Float32Array> {
  const { residents, inputs, count } = asked;
  const parts = residents.map((resident) => ({
    resident,
    sums: new Int32Array(count * resident.block.columns),
    bits: new Uint8Array(count),
  }));
  if (!gated) {
    await read(session, asked, inputs, parts, () => true);
    return total(asked, parts);
  }
  const { gate, savings } = gated;
  const high = highPart(inputs, gate.highBits);
  await read(session, asked, high, parts, (_part, _vector, used) => used !== 0);
  const needed = gate.needed(inputs, total(asked, parts), count);
  const isNeeded = ({ resident: { block } }: Part, vector: number): boolean => {
    const from = vector * asked.columns + block.fromColumn;
    return needed.subarray(from, from + block.columns).includes(1);
  };
  const low = inputs.map((code, i) => code - high[i]);
  await read(session, asked, low, parts, (part, vector, used) => used !== 0 && isNeeded(part, vector));
  const products = total(asked, parts);
  for (const part of parts) countPlanes(asked, part, savings);
  savings.outputs += needed.length;
  savings.heldBack += needed.reduce((sum, is) => sum + 1 - is, 0);
  // A column's blocks, one above the other, are all read or all skipped.
  for (const part of parts.filter(({ resident }) => resident.block.fromRow === 0)) {
    addUsual(products, asked, part.resident, gate, (vector) => !isNeeded(part, vector));
  }
  return products;
}

/**
 * Adds what the tiles answer to those vectors that are `wanted`, by the bits that they use. Jobs are taken one after the
 * other by as many workers as there are credits; the first error ends them all.
 */
async function read(
  session: Session,
  { rows, count }: LayerProducts,
  inputs: Uint8Array,
  parts: readonly Part[],
  wanted: (part: Part, vector: number, used: number) => boolean,
): Promise<void> {
  const jobs = parts.flatMap((part) => {
    const used = usedIn(inputs, rows, count, part);
    const vectors = Array.from(used.keys()).filter((i) => wanted(part, i, used[i]));
    return batches(session, part.resident, vectors.length).map(([from, length]) => ({
      ...part,
      used,
      vectors: vectors.slice(from, from + length),
    }));
  });
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let job = jobs[next++]; job; job = jobs[next++]) {
      const { resident, sums, bits, used, vectors } = job;
      const { block } = resident;
      const answer = await sumsOf(session, resident, slice(inputs, rows, vectors, block));
      for (const [i, vector] of vectors.entries()) {
        bits[vector] |= used[vector];
        for (let j = 0; j < block.columns; j++) sums[vector * block.columns + j] += answer[i * block.columns + j];
      }
    }
  };
  const workers = Array.from({ length: Math.min(session.device.window, jobs.length) }, worker);
  await Promise.all(workers).catch((error) => {
    next = jobs.length;
    throw error;
  });
}

/** Partial sums in the order of the blocks, whenever they came: so the same sums give the same products. */
function total({ columns, count }: LayerProducts, parts: readonly Part[]): Float32Array {
  const products = new Float32Array(count * columns);
  for (const { resident, ...answers } of parts) add(products, columns, resident, answers);
  return products;
}

function countPlanes({ inputs, rows, count }: LayerProducts, part: Part, savings: PlaneSavings): void {
  for (const [vector, used] of usedIn(inputs, rows, count, part).entries()) {
    savings.planes += ones(used);
    savings.skippedPlanes += ones(used & ~part.bits[vector]);
  }
}

/** The bits that each vector uses in a block's rows. */
function usedIn(inputs: Uint8Array, rows: number, count: number, { resident: { block } }: Part): Uint8Array {
  const vectors = Array.from({ length: count }, (_, i) => i);
  return usedBits(slice(inputs, rows, vectors, block), block.rows);
}

function ones(pattern: number): number {
  let count = 0;
  for (let left = pattern; left > 0; left >>= 1) count += left & 1;
  return count;
}

/** What low bits bring on average, to the outputs of a block's columns that did not get them. */
function addUsual(
  products: Float32Array,
  { columns, count }: LayerProducts,
  { block }: Resident,
  { usual }: Gate,
  isSkipped: (vector: number) => boolean,
): void {
  for (let vector = 0; vector < count; vector++) {
    if (!isSkipped(vector)) continue;
    const end = block.fromColumn + block.columns;
    for (let j = block.fromColumn; j < end; j++) products[vector * columns + j] += usual[j];
  }
}
