import type { AcceleratorProfile, PcmCells } from "../../device-profiles/accelerator.ts";
import { gaussian } from "../../runtime/base/random.ts";
import { maxLevel } from "../tiles/planes.ts";
import { type Cells, type Environment, seedOf } from "./physics.ts";

/**
 * Phase-change memory: the formulas and numbers of PCMLikeNoiseModel in IBM/aihwkit (src/aihwkit/inference/noise/pcm.py),
 * fitted on real devices (Nandakumar et al., ICECS 2019). Conductances in microsiemens, times in seconds.
 */
export const PCM = {
  /** Standard deviation after programming: polynomial in g / gMax, for the reference gMax. */
  programming: [0.26348, 1.965, -1.1731],
  referenceConductanceUs: 25,
  /** First reading, from which drift counts; and the duration of one reading. */
  t0Seconds: 20,
  readSeconds: 250e-9,
} as const;

export function programmingSigma(relative: number, maxConductanceUs: number): number {
  const [constant, linear, quadratic] = PCM.programming;
  const sigma = constant + linear * relative + quadratic * relative * relative;
  return (sigma * maxConductanceUs) / PCM.referenceConductanceUs;
}

/** Mean and deviation of the drift exponent, whose absolute value is taken. */
export function driftExponent(relative: number): { readonly mean: number; readonly sigma: number } {
  const log = Math.log(Math.max(relative, 1e-7));
  return { mean: clamp(-0.0155 * log + 0.0244, 0.049, 0.1), sigma: clamp(-0.0125 * log - 0.0059, 0.008, 0.045) };
}

/** Deviation, relative to the drifted conductance, of the 1/f noise accumulated `t` seconds after t = 0. */
export function readSigma(relative: number, t: number): number {
  const q = Math.min(0.0088 / Math.max(relative ** 0.65, 1e-3), 0.2);
  return q * Math.sqrt(Math.log((t + PCM.readSeconds) / (2 * PCM.readSeconds)));
}

/** One pair of devices per weight; the other side of a pair is programmed to zero, noise and all. */
export function pcmCells(profile: AcceleratorProfile, cells: PcmCells, seed: number): Cells {
  const gMax = cells.maxConductanceUs;
  const unitsPerUs = maxLevel(profile.array) / gMax;
  return {
    conductances(targets: Float32Array, generation: number, { ageSeconds }: Environment): Float32Array {
      const made = gaussian(seedOf(seed, generation));
      const noise = gaussian(seedOf(seed, generation, Math.round(ageSeconds), 1));
      const device = (target: number): number => {
        const relative = target / gMax;
        const programmed = Math.max(0, target + programmingSigma(relative, gMax) * made());
        const { mean, sigma } = driftExponent(relative);
        const exponent = Math.abs(mean + sigma * made());
        const t = ageSeconds + PCM.t0Seconds;
        const drifted = programmed * (t / PCM.t0Seconds) ** -exponent;
        return Math.max(0, drifted * (1 + readSigma(programmed / gMax, t) * noise()));
      };
      return targets.map((target) => {
        const us = target / unitsPerUs;
        return (device(Math.max(0, us)) - device(Math.max(0, -us))) * unitsPerUs;
      });
    },
  };
}

function clamp(value: number, min: number, max: number): number {
  return Math.min(Math.max(value, min), max);
}
