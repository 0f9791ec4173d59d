import { suite } from "uvu";
import * as assert from "uvu/assert";
import { entry } from "../../runtime/base/entry.ts";
import { loadWasm } from "../../runtime/kernels/wasm.ts";
import { NO_CLAMP } from "../../runtime/model/graph.ts";
import { augmented, observe } from "../../runtime/polarize/augment.ts";
import { chooseMix } from "../../runtime/polarize/mix/mix.ts";
import { type Calibration, polarize } from "../../runtime/polarize/polarize.ts";
import { lowered } from "../../runtime/polarize/prepare.ts";
import { quantizeModel } from "../../runtime/quantize/quantize.ts";
import { randomModel } from "../support/models.ts";
import { normals } from "../support/random.ts";

const test = suite("augment");

const SAMPLES = 3;

async function calibration(height: number): Promise<Calibration> {
  const row = 2;
  const dense = { op: "dense", name: "answer", rows: row, columns: 4, clamp: NO_CLAMP } as const;
  const graph = {
    name: "rows",
    input: { name: "x", shape: [1, height, 1, row] },
    output: "answer",
    nodes: [{ ...dense, inputs: ["x"], shape: [1, height, 1, 4] }],
  };
  const float = randomModel(graph, 3);
  const observed = await observe(float, normals(SAMPLES * height * row, 4), SAMPLES);
  return { float, observed, samples: SAMPLES, rank: 4, kernels: await loadWasm() };
}

test("copies are the samples moved by a row or two, with the float model's answers to them", async () => {
  const own = await calibration(20);
  const { observed, samples } = await augmented(own);
  assert.is(samples, 5 * SAMPLES);
  for (const [name, length] of [
    ["x", 2],
    ["answer", 4],
  ] as const) {
    const [before, after] = [entry(own.observed, name), entry(observed, name)];
    const sample = 20 * length;
    assert.equal(after.slice(0, before.length), before, "the samples come first");
    // The first copy of the last sample: its row 7 is row 8 of the sample, its last row repeats.
    const [first, copy] = [(SAMPLES - 1) * sample, (2 * SAMPLES - 1) * sample];
    const rowOf = (start: number, y: number): Float32Array => after.slice(start + y * length, start + (y + 1) * length);
    assert.equal(rowOf(copy, 7), rowOf(first, 8));
    assert.equal(rowOf(copy, 19), rowOf(first, 19));
  }
});

test("what is no image and no sequence stays as it is", async () => {
  const own = await calibration(1);
  assert.is(await augmented(own), own);
});

test("a mix, which has coarse layers, is fitted to the copies too", async () => {
  const own = await calibration(20);
  const policy = {
    weights: "int8",
    blockLength: 32,
    firstLayer: "int8",
    lastLayer: "int8",
    depthwise: "int8",
  } as const;
  const budget = { bitsPerWeight: 64 };
  const mix = await chooseMix(own, { ...policy, budget });
  const fitted = (seen: Calibration) =>
    polarize(quantizeModel(seen.float, seen.observed, policy, mix), { ...seen, mix });
  const { layers } = await lowered(own, { ...policy, budget }, () => undefined);
  assert.equal([...layers], [...fitted(await augmented(own)).layers]);
  assert.not.equal([...layers], [...fitted(own).layers]);
});

test.run();
