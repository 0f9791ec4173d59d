import type { AcceleratorProfile } from "../../device-profiles/accelerator.ts";

/** What the world does to a tile. */
export interface Environment {
  /** Since the tile was programmed. */
  readonly ageSeconds: number;
  readonly temperatureC: number;
}

/** The cell pairs of one tile, whatever they are made of. Random, and the same again for the same seed. */
export interface Cells {
  /**
   * What the pairs conduct, in unit cells. `targets` is what they were programmed to: signed, rows x lanes of the whole
   * tile (tiles/planes.ts). `generation` counts programmings: what is drawn anew each time depends on it.
   */
  conductances(targets: Float32Array, generation: number, environment: Environment): Float32Array;
}

/** Makes the cells of one tile. */
export type CellModel = (profile: AcceleratorProfile, seed: number) => Cells;

/** A seed of its own for each purpose and tile: the finalizer of MurmurHash3 (A. Appleby, public domain). */
export function seedOf(...parts: readonly number[]): number {
  let hash = 0;
  for (const part of parts) {
    hash = (Math.imul(hash ^ part, 0x85ebca6b) + 0x9e3779b9) | 0;
    hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
    hash ^= hash >>> 16;
  }
  return hash >>> 0;
}
