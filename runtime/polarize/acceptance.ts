import type { Correction } from "../model/stages.ts";
import type { Observations } from "./observations.ts";

/** Of the observations; the last ones, which come from other samples than the first. */
const HELD_BACK = 0.25;
/** With fewer observations none can be held back. */
const LEAST = 4;

/**
 * The correction that is best on observations that it was not fitted to, fitted again to all: one that only learnt its
 * samples by heart gives way to a simpler one.
 * @param fits the most capable one first; of equals it wins. With too few observations to tell, the last one is taken
 * @param errorOf what a correction leaves of the targets
 */
export function accepted<T extends Observations>(
  seen: T,
  fits: readonly ((seen: T) => Correction)[],
  errorOf: (seen: T, correction: Correction) => number,
): Correction {
  const split = Math.floor(seen.count * (1 - HELD_BACK));
  if (seen.count < LEAST) return fits[fits.length - 1](seen);
  const [fitted, heldBack] = [part(seen, 0, split), part(seen, split, seen.count)];
  const errors = fits.map((correct) => {
    const error = errorOf(heldBack, correct(fitted));
    return Number.isNaN(error) ? Number.POSITIVE_INFINITY : error;
  });
  return fits[errors.indexOf(Math.min(...errors))](seen);
}

/** The observations `from` .. `to`: of every list that has a share for each of them, that share. */
function part<T extends Observations>(seen: T, from: number, to: number): T {
  const lists = Object.entries(seen).map(([name, list]): [string, unknown] => {
    if (!(list instanceof Float32Array || list instanceof Int32Array)) return [name, list];
    const length = list.length / seen.count;
    return [name, list.subarray(from * length, to * length)];
  });
  return { ...seen, ...Object.fromEntries(lists), count: to - from };
}
