import type { AcceleratorProfile } from "../../device-profiles/accelerator.ts";
import { normals, ONE, q16, scaled, squareRoot } from "./fixed.ts";
import { type Environment, seedOf } from "./physics.ts";
import { type Readout, STREAMS } from "./readout.ts";

/** 0 C in thousandths of a kelvin. */
const ZERO_C_MK = 273_150;
/** Of the sum of four random bytes. */
const BYTES_SIGMA = Math.sqrt((4 * (256 ** 2 - 1)) / 12);

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
  /** State of the random streams; see Readout. */
  readonly noise: Uint32Array;
  readonly #constants: Readonly<Record<string, number>>;
  /** Per lane of the tile: Q16, 256ths of an LSB, and Q16 LSB. */
  readonly #gain: Int32Array;
  readonly #offset: Int32Array;
  readonly #offsetPerK: Int32Array;

  constructor(profile: AcceleratorProfile, lanes: number, seed: number) {
    const constants = converterConstants(profile);
    const each = (purpose: number, value: (normal: number) => number): Int32Array => {
      const normal = normals(seedOf(seed, purpose));
      return Int32Array.from({ length: lanes }, () => value(normal()));
    };
    this.#constants = constants;
    this.#gain = each(1, (normal) => ONE + scaled(normal, constants.gainSigma));
    this.#offset = each(2, (normal) => scaled(scaled(normal, constants.offsetSigma), 256));
    this.#offsetPerK = each(3, (normal) => scaled(normal, constants.offsetSigmaPerK));
    this.noise = Uint32Array.from({ length: STREAMS }, (_, stream) => seedOf(seed, 4 + stream) | 1);
  }

  /** `lanes`: which lanes of the tile are used, in order, and the step of each in unit cells, Q16. */
  prepare(
    lanes: readonly { readonly lane: number; readonly step: number }[],
    { temperatureC }: Environment,
  ): Pick<Readout, "multipliers" | "addends" | "shift" | "noiseScale"> {
    const { gainPerK, referenceMc, noise } = this.#constants;
    const millikelvins = Math.round(1000 * temperatureC) - referenceMc;
    const common = ONE + Math.floor((gainPerK * millikelvins) / 256_000);
    const gains = lanes.map(({ lane }) => scaled(this.#gain[lane], common));
    const multiplier = (i: number, shift: number): number =>
      Math.floor((gains[i] * 2 ** (shift + 3) + lanes[i].step) / (2 * lanes[i].step));
    let shift = LONGEST_SHIFT;
    for (let i = 0; i < lanes.length; i++) while (shift > 0 && multiplier(i, shift) >= MULTIPLIERS_END) shift--;
    const hotness = Math.floor(((ZERO_C_MK + referenceMc + millikelvins) * ONE) / (ZERO_C_MK + referenceMc));
    return {
      multipliers: Int32Array.from(lanes, (_, i) => multiplier(i, shift)),
      // Half an LSB rounds to the nearest code.
      addends: Int32Array.from(
        lanes,
        ({ lane }) => 128 + this.#offset[lane] + Math.floor((this.#offsetPerK[lane] * millikelvins) / 256_000),
      ),
      shift,
      noiseScale: (noise * squareRoot(hotness * 4096)) >> 14,
    };
  }
}
