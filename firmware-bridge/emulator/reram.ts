import type { AcceleratorProfile, ReramCells } from "../../device-profiles/accelerator.ts";
import { gaussian } from "../../runtime/base/random.ts";
import { maxLevel } from "../tiles/planes.ts";
import { type Cells, type Environment, seedOf } from "./physics.ts";

/**
 * Filamentary resistive memory: the numbers of ReRamWan2022NoiseModel in IBM/aihwkit
 * (src/aihwkit/inference/noise/reram.py), read off the measurements of Wan et al., Nature 608 (2022). Conductances in
 * microsiemens. Devices do not drift, they spread: the standard deviation from the target, as a polynomial of
 * g / gMax, at three times after programming.
 */
export const RERAM = {
  referenceConductanceUs: 40,
  spread: [
    { atSeconds: 1, sigma: [0.348, 16.03, -43.853, 45.393, -16.815] },
    { atSeconds: 86_400, sigma: [0.701, 22.086, -50.773, 47.095, -16.458] },
    { atSeconds: 172_800, sigma: [0.782, 20.274, -43.507, 37.062, -11.934] },
  ],
} as const;

/** Between the measured times along their logarithm; outside as at the first or the last one. */
export function spreadSigma(relative: number, ageSeconds: number, maxConductanceUs: number): number {
  const { spread, referenceConductanceUs } = RERAM;
  const later = spread.findIndex(({ atSeconds }) => atSeconds >= ageSeconds);
  const [from, to] = later < 0 ? [2, 2] : [Math.max(0, later - 1), later];
  const [a, b] = [spread[from], spread[to]];
  const share = from === to ? 0 : Math.log(ageSeconds / a.atSeconds) / Math.log(b.atSeconds / a.atSeconds);
  const sigma = (1 - share) * polynomial(a.sigma, relative) + share * polynomial(b.sigma, relative);
  return (sigma * maxConductanceUs) / referenceConductanceUs;
}

/**
 * One pair of devices per weight; the other side of a pair is programmed to zero, and spreads too. Where a device goes
 * is drawn when it is programmed, how far it has come depends on the time.
 */
export function reramCells(profile: AcceleratorProfile, cells: ReramCells, seed: number): Cells {
  const gMax = cells.maxConductanceUs;
  const unitsPerUs = maxLevel(profile.array) / gMax;
  return {
    conductances(targets: Float32Array, generation: number, { ageSeconds }: Environment): Float32Array {
      const direction = gaussian(seedOf(seed, generation));
      const device = (target: number): number =>
        Math.max(0, target + spreadSigma(target / gMax, ageSeconds, gMax) * direction());
      return targets.map((target) => {
        const us = target / unitsPerUs;
        return (device(Math.max(0, us)) - device(Math.max(0, -us))) * unitsPerUs;
      });
    },
  };
}

function polynomial(coefficients: readonly number[], x: number): number {
  return coefficients.reduceRight((sum, coefficient) => sum * x + coefficient, 0);
}
