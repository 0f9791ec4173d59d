import type { AcceleratorProfile } from "../device-profiles/accelerator.ts";
import type { UnitLayer } from "../runtime/plan/unit.ts";
import type { Block } from "./mapping.ts";
import { chooseSteps } from "./ranges.ts";

/** A block on its tile, ready to multiply. */
export interface Resident {
  readonly block: Block;
  /** Typical inputs of the block's rows, count x rows. */
  readonly typical: Uint8Array;
  readonly freshSteps: Float32Array;
  steps: Float32Array;
  /** Bytes per sum: two until the device says that they do not suffice. */
  width: 2 | 4;
}

/** Vectors that the ranges are chosen from; more change little. */
const TYPICAL_VECTORS = 64;
export function resident(profile: AcceleratorProfile, layer: UnitLayer, block: Block): Resident {
  const count = layer.typicalInputs.length / layer.rows;
  const taken = Math.min(count, TYPICAL_VECTORS);
  const typical = new Uint8Array(taken * block.rows);
  for (let i = 0; i < taken; i++) {
    typical.set(slice(layer.typicalInputs, layer.rows, Math.floor((i * count) / taken), 1, block), i * block.rows);
  }
  const freshSteps = chooseSteps(profile, block, typical);
  return { block, typical, freshSteps, steps: freshSteps, width: 2 };
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

/** Partial sums of all vectors, in weight units, onto the products. */
export function add(products: Float32Array, columns: number, { block, steps }: Resident, sums: Int32Array): void {
  const worth = block.scales.map((scale, j) => scale * steps[j]);
  for (let from = 0, to = block.fromColumn; from < sums.length; from += block.columns, to += columns) {
    for (let j = 0; j < block.columns; j++) products[to + j] += sums[from + j] * worth[j];
  }
}

/** Bounds of a believable strength. */
const WEAKEST = 0.1;
const STRONGEST = 1.5;

/**
 * How strong the signals are by now: regression of `sums`, the tile's answer to its typical inputs, on what the answer
 * should be, over all columns.
 */
export function strengthOf({ block, typical, steps }: Resident, sums: Int32Array): number {
  const { rows, columns, levels } = block;
  const count = typical.length / rows;
  let [covariance, variance] = [0, 0];
  for (let column = 0; column < columns; column++) {
    const meant = Float64Array.from({ length: count }, (_, v) => {
      let sum = 0;
      for (let row = 0; row < rows; row++) sum += typical[v * rows + row] * levels[row * columns + column];
      return sum;
    });
    const mean = meant.reduce((sum, value) => sum + value, 0) / count;
    for (let v = 0; v < count; v++) {
      covariance += (meant[v] - mean) * sums[v * columns + column] * steps[column];
      variance += (meant[v] - mean) ** 2;
    }
  }
  return variance > 0 ? Math.min(Math.max(covariance / variance, WEAKEST), STRONGEST) : 1;
}
