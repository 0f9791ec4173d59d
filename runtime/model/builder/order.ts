import { Failure } from "../../base/failure.ts";
import { type Shape, sizeOf } from "../../tensor/tensor.ts";

/** Are the factors in their physical order? */
export function isSorted(order: readonly number[]): boolean {
  return order.every((factor, i) => i === 0 || factor > order[i - 1]);
}

/** The transpose of many factors as one of three axes: factors that stay neighbours move as one axis. */
export function threeAxes(factors: Shape, order: readonly number[]): { lengths: number[]; permutation: number[] } {
  const runs = factors.length <= 3 ? order.map((factor) => [factor]) : neighbours(order);
  if (runs.length > 3) {
    throw new Failure(
      "import/unsupported-operator",
      `this needs a transpose of ${runs.length} independent axes; up to 3 are supported`,
    );
  }
  const sorted = runs.toSorted((a, b) => a[0] - b[0]);
  const ones = 3 - runs.length;
  return {
    lengths: [
      ...Array.from({ length: ones }, () => 1),
      ...sorted.map((run) => sizeOf(run.map((factor) => factors[factor]))),
    ],
    permutation: [...Array.from({ length: ones }, (_, i) => i), ...runs.map((run) => ones + sorted.indexOf(run))],
  };
}

function neighbours(order: readonly number[]): number[][] {
  const runs: number[][] = [];
  for (const factor of order) {
    const last = runs.at(-1);
    if (last && last[last.length - 1] === factor - 1) last.push(factor);
    else runs.push([factor]);
  }
  return runs;
}
