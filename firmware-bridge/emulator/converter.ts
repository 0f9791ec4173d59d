import type { AcceleratorProfile } from "../../device-profiles/accelerator.ts";
import { normals, ONE, q16, scaled, squareRoot } from "./fixed.ts";
import { type Environment, seedOf } from "./physics.ts";

/** One unit cell in the fixed point of column sums: a byte of a cell then reaches two units. */
export const UNIT = 64;

/** 0 C in thousandths of a kelvin. */
const ZERO_C_MK = 273_150;
/** Of the sum of four random bytes. */
const BYTES_SIGMA = Math.sqrt((4 * (256 ** 2 - 1)) / 12);
const BYTES_MEAN = 4 * 127.5;

/** Multipliers have 15 bits, so that a product with a sum of 16 bits and a sign is a 32-bit number. */
const MULTIPLIERS_END = 32768;
const LONGEST_SHIFT = 20;
/** Finest step of a converter, Q16 unit cells. */
export const FINEST_STEP = 64;

/** What a profile's converters are in whole numbers; the firmware gets the same. */
export function converterConstants({ converter, temperature }: AcceleratorProfile): Readonly<Record<string, number>> {
  return {
    gainSigma: q16(converter.gainSigma),
    offsetSigma: q16(converter.offsetLsb),
    /** 1 LSB is 256, in 4096ths for one count of four bytes' sum. */
    noise: Math.round((converter.noiseLsb * 256 * 4096) / BYTES_SIGMA),
    offsetSigmaPerK: q16(temperature.offsetLsbPerK),
    /** Q24. */
    gainPerK: Math.round(temperature.gainPerK * 2 ** 24),
    referenceMc: Math.round(1000 * temperature.referenceC),
  };
}

/**
 * The converters of one tile: code = clamp(round(sum * gain / step + offset + noise)). Gains, offsets and the
 * offsets' change with temperature belong to the chip. Thermal noise grows with the square root of the absolute
 * temperature (Johnson and Nyquist). All of it in whole numbers: see fixed.ts.
 */
export class Converters {
  readonly #bits: number;
  readonly #constants: Readonly<Record<string, number>>;
  /** Per lane of the tile: Q16, 256ths of an LSB, and Q16 LSB. */
  readonly #gain: Int32Array;
  readonly #offset: Int32Array;
  readonly #offsetPerK: Int32Array;
  #noise: number;
  #noiseScale = 0;
  /** 256 * code = floor(sum * multiplier) + addend, per used lane; see `prepare`. */
  #multiplier = new Float64Array(0);
  #addend = new Int32Array(0);

  constructor(profile: AcceleratorProfile, lanes: number, seed: number) {
    const constants = converterConstants(profile);
    const each = (purpose: number, value: (normal: number) => number): Int32Array => {
      const normal = normals(seedOf(seed, purpose));
      return Int32Array.from({ length: lanes }, () => value(normal()));
    };
    this.#bits = profile.converter.bits;
    this.#constants = constants;
    this.#gain = each(1, (normal) => ONE + scaled(normal, constants.gainSigma));
    this.#offset = each(2, (normal) => scaled(scaled(normal, constants.offsetSigma), 256));
    this.#offsetPerK = each(3, (normal) => scaled(normal, constants.offsetSigmaPerK));
    this.#noise = seedOf(seed, 4) | 1;
  }

  /** `lanes`: which lanes of the tile are used, in order, and the step of each in unit cells, Q16. */
  prepare(lanes: readonly { readonly lane: number; readonly step: number }[], { temperatureC }: Environment): void {
    const { gainPerK, referenceMc, noise } = this.#constants;
    const millikelvins = Math.round(1000 * temperatureC) - referenceMc;
    const common = ONE + Math.floor((gainPerK * millikelvins) / 256_000);
    const gains = lanes.map(({ lane }) => scaled(this.#gain[lane], common));
    const multiplier = (i: number, shift: number): number =>
      Math.floor((gains[i] * 2 ** (shift + 3) + lanes[i].step) / (2 * lanes[i].step));
    let shift = LONGEST_SHIFT;
    for (let i = 0; i < lanes.length; i++) while (shift > 0 && multiplier(i, shift) >= MULTIPLIERS_END) shift--;
    this.#multiplier = Float64Array.from(lanes, (_, i) => multiplier(i, shift) / 2 ** shift);
    // Half an LSB rounds to the nearest code.
    this.#addend = Int32Array.from(
      lanes,
      ({ lane }) => 128 + this.#offset[lane] + Math.floor((this.#offsetPerK[lane] * millikelvins) / 256_000),
    );
    const hotness = Math.floor(((ZERO_C_MK + referenceMc + millikelvins) * ONE) / (ZERO_C_MK + referenceMc));
    this.#noiseScale = (noise * squareRoot(hotness * 4096)) >> 14;
  }

  /**
   * Converts `sums` (planes x columns, fixed point) and adds code * 2^(bit + plane) to `totals` from `at` on.
   * Returns how many codes hit an end of the range.
   */
  convert(sums: Int32Array, columns: number, bit: number, totals: Int32Array, at: number): number {
    if (this.#bits === 0) return exact(sums, columns, bit, totals, at);
    const multiplier = this.#multiplier;
    const addend = this.#addend;
    const noiseScale = this.#noiseScale;
    const max = 2 ** (this.#bits - 1) - 1;
    const min = -max - 1;
    let saturated = 0;
    let noise = this.#noise;
    for (let from = 0, shift = bit; from < sums.length; from += columns, shift++) {
      for (let column = 0; column < columns; column++) {
        // xorshift32 (Marsaglia 2003); four of its bytes make a number that is close enough to normal
        noise ^= noise << 13;
        noise ^= noise >>> 17;
        noise ^= noise << 5;
        const bytes = (noise & 255) + ((noise >>> 8) & 255) + ((noise >>> 16) & 255) + (noise >>> 24);
        const lane = from + column;
        const signal = Math.floor(sums[lane] * multiplier[lane]) + addend[lane];
        let code = (signal + (Math.imul(bytes - BYTES_MEAN, noiseScale) >> 12)) >> 8;
        if (code > max || code < min) {
          code = code > max ? max : min;
          saturated++;
        }
        totals[at + column] += code << shift;
      }
    }
    this.#noise = noise;
    return saturated;
  }
}

function exact(sums: Int32Array, columns: number, bit: number, totals: Int32Array, at: number): 0 {
  for (let lane = 0; lane < sums.length; lane++) {
    totals[at + (lane % columns)] += Math.round(sums[lane] / UNIT) << (bit + Math.floor(lane / columns));
  }
  return 0;
}
