import type { AcceleratorProfile, SramCells } from "../../device-profiles/accelerator.ts";
import { planeCount } from "../tiles/planes.ts";
import { exp2Negative, log2, normals, ONE, q16, scaled } from "./fixed.ts";
import { type Cells, type Environment, seedOf } from "./physics.ts";
import { UNIT } from "./readout.ts";

/** A cell's conductance is a signed byte of 1/64 unit cells in the firmware. */
const MOST = 127;

/** What a profile's cells are in whole numbers, Q16; the firmware gets the same. */
export function sramConstants({
  sigma,
  drift,
}: SramCells): Record<"sigma" | "exponentMean" | "exponentSigma" | "logStart", number> {
  return {
    sigma: q16(sigma),
    exponentMean: q16(drift.exponentMean),
    exponentSigma: q16(drift.exponentSigma),
    logStart: log2(Math.max(1, Math.round(drift.t0Seconds))),
  };
}

/**
 * Charge-domain SRAM, one bit per cell pair. Cells differ by mismatch, which belongs to the chip and survives
 * programming, and each fades at a pace of its own:
 *   g = target * max(0, 1 + sigma N) * (t / t0)^-nu,  nu = max(0, N(mean, sigma_nu)),  for t > t0
 */
export function sramCells(profile: AcceleratorProfile, cells: SramCells, seed: number): Cells {
  const { rows, columns } = profile.array;
  const pairs = { length: rows * columns * planeCount(profile.array) };
  const { sigma, exponentMean, exponentSigma, logStart } = sramConstants(cells);
  const mismatch = normals(seedOf(seed, 1));
  const pace = normals(seedOf(seed, 2));
  const fresh = Int32Array.from(pairs, () => Math.max(0, ONE + scaled(mismatch(), sigma)));
  const exponents = Int32Array.from(pairs, () => Math.max(0, exponentMean + scaled(pace(), exponentSigma)));
  return {
    conductances(targets: Float32Array, _generation: number, { ageSeconds }: Environment): Float32Array {
      const octaves = Math.max(0, log2(Math.max(1, ageSeconds)) - logStart);
      return targets.map((target, i) => {
        const kept = scaled(fresh[i], exp2Negative(scaled(octaves, exponents[i])));
        return target === 0 ? 0 : (target * Math.min(MOST, (kept + 512) >> 10)) / UNIT;
      });
    },
  };
}
