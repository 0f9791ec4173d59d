import type { AcceleratorProfile } from "../../device-profiles/accelerator.ts";
import { gaussian, uniform } from "../../runtime/base/random.ts";
import { type Environment, seedOf } from "./physics.ts";

/** One unit cell in the fixed point of column sums. Sums are exact integers, so their order does not matter. */
export const UNIT = 4096;

const KELVIN = 273.15;
/** Of the sum of four random bytes. */
const BYTES_SIGMA = Math.sqrt((4 * (256 ** 2 - 1)) / 12);
const BYTES_MEAN = 4 * 127.5;

/**
 * The converters of one tile: code = clamp(round(sum * gain / step + offset + noise)). Gains, offsets and the
 * offsets' change with temperature belong to the chip. Thermal noise grows with the square root of the absolute
 * temperature (Johnson and Nyquist).
 */
export class Converters {
  readonly #profile: AcceleratorProfile;
  /** Per lane of the tile. */
  readonly #gain: Float32Array;
  readonly #offset: Float32Array;
  readonly #offsetPerK: Float32Array;
  #noise: number;
  #noiseScale = 0;
  /** code = round(sum * multiplier + addend), per used lane; see `prepare`. */
  #multiplier = new Float64Array(0);
  #addend = new Float64Array(0);

  constructor(profile: AcceleratorProfile, lanes: number, seed: number) {
    const { gainSigma, offsetLsb } = profile.converter;
    const normal = gaussian(seed);
    this.#profile = profile;
    this.#gain = Float32Array.from({ length: lanes }, () => 1 + gainSigma * normal());
    this.#offset = Float32Array.from({ length: lanes }, () => offsetLsb * normal());
    this.#offsetPerK = Float32Array.from({ length: lanes }, () => profile.temperature.offsetLsbPerK * normal());
    this.#noise = 1 + Math.floor((2 ** 32 - 1) * uniform(seedOf(seed, 1))());
  }

  /** `lanes`: which lanes of the tile are used, in order, and the step of each in unit cells. */
  prepare(lanes: readonly { readonly lane: number; readonly step: number }[], { temperatureC }: Environment): void {
    const { converter, temperature } = this.#profile;
    const kelvins = temperatureC - temperature.referenceC;
    const common = 1 + temperature.gainPerK * kelvins;
    this.#multiplier = Float64Array.from(lanes, ({ lane, step }) => (this.#gain[lane] * common) / (step * UNIT));
    this.#addend = Float64Array.from(lanes, ({ lane }) => this.#offset[lane] + this.#offsetPerK[lane] * kelvins);
    const hotness = (temperatureC + KELVIN) / (temperature.referenceC + KELVIN);
    this.#noiseScale = (converter.noiseLsb * Math.sqrt(hotness)) / BYTES_SIGMA;
  }

  /**
   * Converts `sums` (planes x columns, fixed point) and adds code * 2^(bit + plane) to `totals` from `at` on.
   * Returns how many codes hit an end of the range.
   */
  convert(sums: Int32Array, columns: number, bit: number, totals: Int32Array, at: number): number {
    if (this.#profile.converter.bits === 0) return exact(sums, columns, bit, totals, at);
    const multiplier = this.#multiplier;
    const addend = this.#addend;
    const noiseScale = this.#noiseScale;
    const max = 2 ** (this.#profile.converter.bits - 1) - 1;
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
        const value = sums[lane] * multiplier[lane] + addend[lane] + (bytes - BYTES_MEAN) * noiseScale;
        let code = Math.floor(value + 0.5);
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
