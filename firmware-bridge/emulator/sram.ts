import type { AcceleratorProfile, SramCells } from "../../device-profiles/accelerator.ts";
import { gaussian } from "../../runtime/base/random.ts";
import { planeCount } from "../planes.ts";
import type { Cells, Environment } from "./physics.ts";

/**
 * Charge-domain SRAM, one bit per cell pair. Cells differ by mismatch, which belongs to the chip and survives
 * programming, and each fades at a pace of its own:
 *   g = target * max(0, 1 + sigma N) * (t / t0)^-nu,  nu = N(mean, sigma_nu),  for t > t0
 */
export function sramCells(profile: AcceleratorProfile, cells: SramCells, seed: number): Cells {
  const { rows, columns } = profile.array;
  const pairs = rows * columns * planeCount(profile.array);
  const { exponentMean, exponentSigma, t0Seconds } = cells.drift;
  const normal = gaussian(seed);
  const fresh = Float32Array.from({ length: pairs }, () => Math.max(0, 1 + cells.sigma * normal()));
  const exponents = Float32Array.from({ length: pairs }, () => exponentMean + exponentSigma * normal());
  return {
    conductances(targets: Float32Array, _generation: number, { ageSeconds }: Environment): Float32Array {
      const logAge = Math.log(Math.max(1, ageSeconds / t0Seconds));
      return targets.map((target, i) => (target === 0 ? 0 : target * fresh[i] * Math.exp(-exponents[i] * logAge)));
    },
  };
}
