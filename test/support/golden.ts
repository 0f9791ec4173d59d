import { readFileSync } from "node:fs";
import * as assert from "uvu/assert";
import { openTeacher } from "../../runtime/kernels/float.ts";
import type { FloatModel } from "../../runtime/model/stages.ts";

/** What onnxruntime 1.30 (CPU) answered to a small model, in the graph's order (images NHWC). */
export interface Golden {
  readonly inputShape: readonly number[];
  readonly input: readonly number[];
  readonly outputShape: readonly number[];
  readonly output: readonly number[];
}

/** Greatest difference over greatest value that the float teacher may have. Tighten it, never loosen it. */
const TOLERANCE = 1e-5;

export function goldens(file: string): Readonly<Record<string, Golden>> {
  return JSON.parse(readFileSync(new URL(`../vectors/import/${file}`, import.meta.url), "utf8"));
}

/** The imported model gives the golden answer, alone and as the second sample of three. */
export async function checkGolden(model: FloatModel, golden: Golden): Promise<void> {
  const input = Float32Array.from(golden.input);
  assert.equal(model.graph.input.shape, golden.inputShape);
  const teacher = await openTeacher(model);
  const batch = Float32Array.of(...input.map((x) => x + 1), ...input, ...input.map((x) => -x));
  const alone = (await teacher.run(input, 1)).output;
  const among = (await teacher.run(batch, 3)).output.subarray(alone.length, 2 * alone.length);
  teacher.close();
  assert.ok(difference(alone, golden.output) < TOLERANCE, `alone: ${difference(alone, golden.output)}`);
  assert.ok(difference(among, golden.output) < TOLERANCE, `in a batch: ${difference(among, golden.output)}`);
}

/** Greatest difference over greatest expected value. */
export function difference(found: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (found.length !== expected.length) return Number.POSITIVE_INFINITY;
  let [most, scale] = [0, 0];
  for (let i = 0; i < expected.length; i++) {
    const error = Math.abs(found[i] - expected[i]);
    if (!(error <= most)) most = error;
    scale = Math.max(scale, Math.abs(expected[i]));
  }
  return most / scale;
}
