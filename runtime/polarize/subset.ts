import type { Calibration } from "./polarize.ts";

/** The samples `from` .. `to` alone. */
export function subset(calibration: Calibration, from: number, to: number): Calibration {
  const observed = [...calibration.observed].map(([name, values]): [string, Float32Array] => {
    const length = values.length / calibration.samples;
    return [name, values.subarray(from * length, to * length)];
  });
  return { ...calibration, observed: new Map(observed), samples: to - from };
}
