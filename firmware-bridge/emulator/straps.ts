/** Where they lie: at the beginning of the RAM of all boards. */
export const STRAPS_ADDRESS = 0x2000_0000;

/** Which chip the C firmware is, as if by fuses: what a loader writes to the beginning of the RAM. */
export interface Straps {
  /** Default 1. */
  readonly seed?: number;
  /** That a tile has as soon as it is programmed. */
  readonly ageSeconds?: number;
  /** Than the profile's reference, kelvins. */
  readonly warmerC?: number;
}

/** As `board_straps` in firmware/hal.h: noise, seed, age in seconds, warmer in thousandths of a kelvin. */
export function strapWords({ seed = 1, ageSeconds = 0, warmerC = 0 }: Straps): number[] {
  const noise = Math.floor(2 ** 32 * Math.random());
  return [noise, seed, ageSeconds, Math.round(1000 * warmerC)].map((word) => word >>> 0);
}
