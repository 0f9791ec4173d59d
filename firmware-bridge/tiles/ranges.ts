import type { AcceleratorProfile } from "../../device-profiles/accelerator.ts";
import type { Block } from "./mapping.ts";
import { cellTarget, INPUT_BITS, planeCount } from "./planes.ts";

/** How the converters of one tile are set; see the command `setRange`. */
export interface Range {
  /** One per column, in unit cells. */
  readonly steps: Float32Array;
  /** planes x input bits: how often the step is halved, and of how many reads (log2) the mean is taken. */
  readonly reads: Uint8Array;
}

/** Quantiles of the columns' sums that are tried as the end of the converters' range. */
const ENDS: readonly number[] = [0.95, 0.98, 0.99, 0.995, 0.999, 0.9995, 0.9999, 1];
/** Finer steps than this part of a unit cell resolve nothing: sums are whole cells before they vary. */
const FINEST_STEP = 0.1;
/** Most halvings, and most reads as a power of two. */
const FINEST = 6;
const MOST_REPEATS = 4;
/** Steps fit the halvings and halvings the steps after so many turns. */
const TURNS = 3;

/**
 * The converters' range for typical `vectors` (count x block rows): the one with the least square error of the digital
 * sum, clipping included, as far as the nominal cells tell. Significant planes are often sparse: their sums are small,
 * so they are read with finer steps; and what is worst after that is read several times, as far as the profile's
 * converters allow for. The ends of the range leave room for two sigmas of a column's gain and offset.
 */
export function chooseRange(profile: AcceleratorProfile, block: Block, vectors: Uint8Array): Range {
  const { bits, gainSigma, offsetLsb } = profile.converter;
  const planes = planeCount(profile.array);
  const range = { steps: new Float32Array(block.columns).fill(1), reads: new Uint8Array(planes * INPUT_BITS) };
  if (bits === 0) return range;
  const max = 2 ** (bits - 1) - 1;
  const room = Math.max(1, max - 2 * offsetLsb) / (1 + 2 * gainSigma);
  const readings = planeSums(profile, block, vectors);
  const fineness = new Uint8Array(readings.length);
  for (let turn = 0; turn < TURNS; turn++) {
    for (let column = 0; column < block.columns; column++) {
      const own = readings.map((columns) => columns[column]);
      range.steps[column] = bestStep(own, fineness, room);
    }
    for (const [at, columns] of readings.entries()) fineness[at] = bestFineness(columns, at, range.steps, room);
  }
  const repeats = repeatsOf(profile, fineness);
  return { steps: range.steps, reads: fineness.map((finer, at) => finer | (repeats[at] << 4)) };
}

/** The square of a code's digital weight, for the plane and input bit `at`. */
function weightOf(at: number): number {
  return 4 ** (Math.floor(at / INPUT_BITS) + (at % INPUT_BITS));
}

/** What a step costs: what is clipped, and the rounding, which is uniform: its square is step^2 / 12 on average. */
function errorOf(sums: Sums, step: number, room: number): number {
  return (sums.sorted.length * step * step) / 12 + clippedError(sums, room * step);
}

/** For one column; `readings` are its sums for each plane and input bit. */
function bestStep(readings: readonly Sums[], fineness: Uint8Array, room: number): number {
  const count = readings[0].sorted.length;
  const all = new Float32Array(readings.length * count);
  for (const [at, { sorted }] of readings.entries()) {
    for (let i = 0; i < count; i++) all[at * count + i] = sorted[i] * 2 ** fineness[at];
  }
  all.sort();
  let best = { step: FINEST_STEP, error: Number.POSITIVE_INFINITY };
  for (const end of ENDS) {
    const step = Math.max(FINEST_STEP, all[Math.floor(end * (all.length - 1))] / room);
    let error = 0;
    for (const [at, sums] of readings.entries()) error += weightOf(at) * errorOf(sums, step / 2 ** fineness[at], room);
    if (error < best.error) best = { step: Math.fround(step), error };
  }
  return best.step;
}

/** For one plane and input bit of all columns. */
function bestFineness(columns: readonly Sums[], at: number, steps: Float32Array, room: number): number {
  const most = Math.min(FINEST, Math.floor(at / INPUT_BITS) + (at % INPUT_BITS));
  let best = { finer: 0, error: Number.POSITIVE_INFINITY };
  for (let finer = 0; finer <= most; finer++) {
    const error = columns.reduce((sum, sums, j) => sum + errorOf(sums, steps[j] / 2 ** finer, room), 0);
    if (error < best.error) best = { finer, error };
  }
  return best.finer;
}

/**
 * How often each plane is read for each input bit, log2, within the conversions that the profile allows on average:
 * one doubling after the other where it takes away most error per conversion.
 */
function repeatsOf({ converter: { noiseLsb, reads } }: AcceleratorProfile, fineness: Uint8Array): Uint8Array {
  const repeats = new Uint8Array(fineness.length);
  const gain = (at: number): number => {
    const possible =
      repeats[at] < MOST_REPEATS && fineness[at] + repeats[at] < Math.floor(at / INPUT_BITS) + (at % INPUT_BITS);
    if (!possible) return 0;
    return (
      ((weightOf(at) / 4 ** fineness[at]) * (readError(noiseLsb, repeats[at]) - readError(noiseLsb, repeats[at] + 1))) /
      2 ** repeats[at]
    );
  };
  for (let left = (reads - 1) * fineness.length; ; ) {
    let best = 0;
    for (let at = 1; at < fineness.length; at++) if (gain(at) > gain(best)) best = at;
    left -= 2 ** repeats[best];
    if (left < 0 || gain(best) === 0) return repeats;
    repeats[best]++;
  }
}

/**
 * Mean square error, in steps, of the mean of 2^repeats reads with noise of this sigma. Noise dithers: what rounding
 * does wrong each time is the first harmonic of its sawtooth, damped by the noise (Widrow & Kollar, Quantization Noise,
 * 2008, ch. 19); the rest averages.
 */
function readError(noiseLsb: number, repeats: number): number {
  const always = Math.min(1 / 12, Math.exp(-4 * Math.PI ** 2 * noiseLsb ** 2) / (2 * Math.PI ** 2));
  return always + (1 / 12 + noiseLsb ** 2 - always) / 2 ** repeats;
}

/** Magnitudes in ascending order; from each one on, their sum and the sum of their squares. */
interface Sums {
  readonly sorted: Float32Array;
  /** One longer than `sorted`, as is `squares`. */
  readonly tails: Float64Array;
  readonly squares: Float64Array;
}

function sumsOf(values: Float32Array): Sums {
  const sorted = values.map(Math.abs).sort();
  const [tails, squares] = [new Float64Array(sorted.length + 1), new Float64Array(sorted.length + 1)];
  for (let i = sorted.length - 1; i >= 0; i--) {
    tails[i] = tails[i + 1] + sorted[i];
    squares[i] = squares[i + 1] + sorted[i] ** 2;
  }
  return { sorted, tails, squares };
}

/** The sum of (s - limit)^2 over all s > limit, without looking at each. */
function clippedError({ sorted, tails, squares }: Sums, limit: number): number {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] > limit) high = middle;
    else low = middle + 1;
  }
  return squares[low] - 2 * limit * tails[low] + (sorted.length - low) * limit * limit;
}

/** What each column adds up to, for each plane and input bit, each column, over the vectors; unit cells. */
function planeSums({ array }: AcceleratorProfile, { rows, columns, levels }: Block, vectors: Uint8Array): Sums[][] {
  const count = Math.floor(vectors.length / rows);
  return Array.from({ length: planeCount(array) * INPUT_BITS }, (_, at) => {
    const [plane, bit] = [Math.floor(at / INPUT_BITS), at % INPUT_BITS];
    const targets = Float32Array.from(levels, (level) => cellTarget(array, level, plane));
    const sums = Array.from({ length: columns }, () => new Float32Array(count));
    for (let i = 0; i < count * rows; i++) {
      if (((vectors[i] >> bit) & 1) === 0) continue;
      const from = (i % rows) * columns;
      const to = Math.floor(i / rows);
      for (let column = 0; column < columns; column++) sums[column][to] += targets[from + column];
    }
    return sums.map(sumsOf);
  });
}
