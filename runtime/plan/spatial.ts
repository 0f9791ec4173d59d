import { Failure } from "../base/failure.ts";
import type { Slot } from "../kernels/step.ts";
import type { Concat, Slice, Transpose, Window } from "../model/graph.ts";
import type { Shape } from "../tensor/tensor.ts";

/** The kernels see every value as [height, width, channels], whatever its rank in the graph. */

type Axis = 0 | 1 | 2;

/** What the axes after the batch are, by rank: [1, C], [1, T, C], [1, H, W, C]. */
const axesByRank: readonly (readonly Axis[])[] = [[], [], [2], [0, 2], [0, 1, 2]];

export function spatialShape(shape: Shape, value: string): readonly [number, number, number] {
  const spatial: [number, number, number] = [1, 1, 1];
  for (const [i, axis] of axesOf(shape.length, value).entries()) spatial[axis] = shape[i + 1];
  return spatial;
}

export function spatialAxis({ name, shape, axis, op }: Concat | Slice): Axis {
  const spatial = axesOf(shape.length, name)[axis - 1];
  if (spatial === undefined) {
    throw new Failure("plan/unsupported", `${name}: ${op} along axis ${axis}, but a batch is always 1`);
  }
  return spatial;
}

export function spatialPermutation({ name, permutation }: Transpose): readonly [number, number, number] {
  if (permutation[0] !== 0) {
    throw new Failure("plan/unsupported", `${name}: transposition [${permutation}] moves the batch axis`);
  }
  const axes = axesOf(permutation.length, name);
  const spatial: [number, number, number] = [0, 1, 2];
  for (const [i, axis] of axes.entries()) spatial[axis] = axes[permutation[i + 1] - 1];
  return spatial;
}

/** The same values as one position after the other, `length` channels each. */
export function asColumn(slot: Slot, length: number): Slot {
  const [height, width, channels] = slot.shape;
  return { ...slot, shape: [(height * width * channels) / length, 1, length] };
}

/** A window that reads each position once and in order: its input already is its list of vectors. */
export function isPoint({ kernel, stride, pads }: Window): boolean {
  return [...kernel, ...stride].every((length) => length === 1) && pads.every((pad) => pad === 0);
}

function axesOf(rank: number, name: string): readonly Axis[] {
  const axes = axesByRank[rank];
  if (axes !== undefined && rank > 0) return axes;
  throw new Failure("plan/unsupported", `${name}: a value with ${rank} axes; the kernels take 1 to 4 with the batch`);
}
