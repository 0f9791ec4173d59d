import { entry } from "../base/entry.ts";
import { openTeacher } from "../kernels/float.ts";
import type { FloatModel } from "../model/stages.ts";
import { joined, type Shape } from "../tensor/tensor.ts";
import type { Calibration } from "./polarize.ts";

/** Rows that copies of the samples are moved by. */
const MOVES: readonly number[] = [1, -1, 2, -2];
/** Of all values of all samples and copies: fewer copies are made of large ones. */
const MOST_BYTES = 64 * 2 ** 20;
/** An axis that is shorter is none along which things move. */
const LEAST_HEIGHT = 16;

/**
 * The samples and copies of them moved along their first spatial axis, which is time in features of sound and up and
 * down in images, by a row or two; the first or last row is repeated. Answers to them need no labels, the float model
 * gives them. Coarse codes, which are fitted to the samples most, learn them by heart less. (Flipped images at two
 * bits: agreement 87.9 -> 88.8 %, KL .095 -> .089.)
 * @returns the calibration itself where inputs are no images or no sequences
 */
export async function augmented(calibration: Calibration): Promise<Calibration> {
  const { float, observed, samples } = calibration;
  const { input } = float.graph;
  const moves = MOVES.slice(0, copiesWithin(MOST_BYTES, observed));
  if (!isMovable(input.shape) || moves.length === 0) return calibration;
  const inputs = entry(observed, input.name);
  const copies = joined(moves.map((by) => moved(inputs, samples, input.shape[1], by)));
  const more = await observe(float, copies, moves.length * samples);
  const all = [...observed].map(([name, values]) => [name, joined([values, entry(more, name)])] as const);
  return { ...calibration, observed: new Map(all), samples: (1 + moves.length) * samples };
}

/** Whether inputs of this shape are images or sequences, of which a moved copy is another sample. */
export function isMovable(shape: Shape): boolean {
  return shape.length === 4 && shape[1] >= LEAST_HEIGHT;
}

/** All values of the float model on `count` inputs: the input and every node, by name. */
export async function observe(
  float: FloatModel,
  inputs: Float32Array,
  count: number,
): Promise<Map<string, Float32Array>> {
  const { input, nodes } = float.graph;
  const teacher = await openTeacher(float);
  try {
    const { taps } = await teacher.run(
      inputs,
      count,
      nodes.map(({ name }) => name),
    );
    return new Map(taps).set(input.name, inputs);
  } finally {
    teacher.close();
  }
}

function copiesWithin(bytes: number, observed: ReadonlyMap<string, Float32Array>): number {
  const own = [...observed.values()].reduce((sum, { byteLength }) => sum + byteLength, 0);
  return Math.max(0, Math.floor(bytes / own) - 1);
}

/** Row y of each sample is what was its row y + `by`. */
export function moved(inputs: Float32Array, samples: number, height: number, by: number): Float32Array {
  const row = inputs.length / samples / height;
  const out = new Float32Array(inputs.length);
  for (let i = 0; i < samples * height; i++) {
    const y = i % height;
    const from = i - y + Math.max(0, Math.min(height - 1, y + by));
    out.set(inputs.subarray(from * row, (from + 1) * row), i * row);
  }
  return out;
}
