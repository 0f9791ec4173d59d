import type { AcceleratorProfile } from "../device-profiles/accelerator.ts";
import type { Block } from "./mapping.ts";
import { cellTarget, INPUT_BITS, planeCount } from "./planes.ts";

/** Quantiles of the columns' sums that are tried as the end of the converters' range. */
const ENDS: readonly number[] = [0.95, 0.98, 0.99, 0.995, 0.999, 0.9995, 0.9999, 1];

/** Finer steps than this part of a unit cell resolve nothing: sums are whole cells before they vary. */
const FINEST_STEP = 0.1;

/**
 * Converter steps, one per column in unit cells, for typical `vectors` (count x block rows): the ones with the least
 * square error of the digital sum, clipping included, as far as the nominal cells tell. The ends of the range leave
 * room for two sigmas of a column's gain and offset.
 */
export function chooseSteps(profile: AcceleratorProfile, block: Block, vectors: Uint8Array): Float32Array {
  const { bits, gainSigma, offsetLsb } = profile.converter;
  if (bits === 0) return new Float32Array(block.columns).fill(1);
  const max = 2 ** (bits - 1) - 1;
  const room = Math.max(1, max - 2 * offsetLsb) / (1 + 2 * gainSigma);
  const { sums, lanes } = planeSums(profile, block, vectors);
  const readings = sums.length / lanes;
  return Float32Array.from({ length: block.columns }, (_, column) => {
    const values: Reading[] = [];
    for (let lane = column; lane < lanes; lane += block.columns) {
      const plane = Math.floor(lane / block.columns);
      for (let i = 0; i < readings; i++) {
        values.push({ sum: Math.abs(sums[i * lanes + lane]), weight: 4 ** ((i % INPUT_BITS) + plane) });
      }
    }
    return bestStep(values, room);
  });
}

interface Reading {
  readonly sum: number;
  /** How much an error counts: the square of its digital weight. */
  readonly weight: number;
}

function bestStep(readings: readonly Reading[], room: number): number {
  const sorted = Float32Array.from(readings, ({ sum }) => sum).sort();
  let best = { step: FINEST_STEP, error: Number.POSITIVE_INFINITY };
  for (const end of ENDS) {
    const step = Math.max(FINEST_STEP, sorted[Math.floor(end * (sorted.length - 1))] / room);
    let error = 0;
    for (const { sum, weight } of readings) {
      const clipped = Math.max(0, sum - room * step);
      // A step's rounding error is uniform: its square is step^2 / 12 on average.
      error += weight * (clipped * clipped + (step * step) / 12);
    }
    if (error < best.error) best = { step: Math.fround(step), error };
  }
  return best.step;
}

/** What each lane (plane x column) adds up to for each bit of each vector: (vectors x bits) x lanes, unit cells. */
function planeSums(
  { array }: AcceleratorProfile,
  { rows, columns, levels }: Block,
  vectors: Uint8Array,
): { sums: Float32Array; lanes: number } {
  const lanes = planeCount(array) * columns;
  const targets = Float32Array.from({ length: rows * lanes }, (_, i) => {
    const [row, lane] = [Math.floor(i / lanes), i % lanes];
    return cellTarget(array, levels[row * columns + (lane % columns)], Math.floor(lane / columns));
  });
  const count = Math.floor(vectors.length / rows);
  const sums = new Float32Array(count * INPUT_BITS * lanes);
  for (let i = 0; i < count * rows; i++) {
    const from = (i % rows) * lanes;
    for (let bit = 0; bit < INPUT_BITS; bit++) {
      if (((vectors[i] >> bit) & 1) === 0) continue;
      const to = (Math.floor(i / rows) * INPUT_BITS + bit) * lanes;
      for (let lane = 0; lane < lanes; lane++) sums[to + lane] += targets[from + lane];
    }
  }
  return { sums, lanes };
}
