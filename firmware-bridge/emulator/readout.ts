import { INPUT_BITS } from "../tiles/planes.ts";

/** A tile ready to be read: what its cells conduct and what its converters make of the sums. All whole numbers. */
export interface Readout {
  readonly rows: number;
  readonly columns: number;
  readonly planes: number;
  /** rows x planes x columns, in 1/64 unit cells. */
  readonly cells: Int32Array;
  /** Of the converters; 0: sums of whole unit cells, exact. */
  readonly bits: number;
  /** 256 * code = floor(sum * multiplier / 2^(shift - finer)) + addend, for each plane and column. */
  readonly multipliers: Int32Array;
  readonly addends: Int32Array;
  readonly shift: number;
  /** In 4096ths of 1/256 LSB, for one count of the sum of four random bytes. */
  readonly noiseScale: number;
  readonly skipsEmptyPlanes: boolean;
  /** planes x input bits, see `ReadPlan`. */
  readonly reads: Uint8Array;
  /** One random stream for every fourth column; reading moves them on. */
  readonly noise: Uint32Array;
}

/**
 * Multiplies whole vectors of `rows` codes: one sum per column for each of them, in converter codes, to `totals`.
 * Returns how many conversions hit an end of the range.
 */
export type Read = (vectors: Uint8Array, totals: Int32Array) => number;

/** How one plane is read for one bit of the inputs: with steps 2^finer times as fine, 2^repeats times. */
export interface ReadPlan {
  readonly finer: number;
  readonly repeats: number;
}

/** A byte for each plane and input bit: finer in its low half, repeats in the high one. */
export function readPlan(reads: Uint8Array, plane: number, bit: number): ReadPlan {
  const byte = reads[plane * INPUT_BITS + bit];
  return { finer: byte & 15, repeats: byte >> 4 };
}

/** One unit cell in the fixed point of column sums: a byte of a cell then reaches two units. */
export const UNIT = 64;

export const STREAMS = 4;
