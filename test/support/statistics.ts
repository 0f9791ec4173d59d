import * as assert from "uvu/assert";

export function moments(values: Iterable<number>): { mean: number; sigma: number } {
  const all = Float64Array.from(values);
  const mean = all.reduce((sum, value) => sum + value, 0) / all.length;
  return { mean, sigma: Math.sqrt(all.reduce((sum, value) => sum + (value - mean) ** 2, 0) / all.length) };
}

/** Within `share` of what is expected. */
export function near(got: number, expected: number, share: number, what: string): void {
  assert.ok(Math.abs(got - expected) <= share * Math.abs(expected), `${what}: ${got} instead of ${expected}`);
}
