import { suite } from "uvu";
import * as assert from "uvu/assert";
import { entry } from "../../runtime/base/entry.ts";
import { isFailure } from "../../runtime/base/failure.ts";
import { openTeacher } from "../../runtime/kernels/float.ts";
import { importModel } from "../../runtime/model/import.ts";
import { sizeOf } from "../../runtime/tensor/tensor.ts";
import { difference } from "../support/golden.ts";
import { randomModel, residualGraph } from "../support/models.ts";
import { naive } from "../support/naive.ts";
import { onnxModel } from "../support/onnx.ts";
import { layerCases } from "../support/onnx-layers.ts";
import { shapeCases } from "../support/onnx-shapes.ts";
import { valueCases } from "../support/onnx-values.ts";
import { normals } from "../support/random.ts";

const test = suite("teacher");

const TOLERANCE = 1e-5;
const SAMPLES = 3;

/** The others are compared with onnxruntime, in import-onnx.test.ts. */
const inNaive = new Set("conv2d depthwise dense add reshape".split(" "));

for (const [name, spec] of Object.entries({ ...layerCases, ...valueCases, ...shapeCases })) {
  if (!spec.ops.split(" ").every((op) => inNaive.has(op))) continue;
  test(`${name}: every value is what plain loops say`, async () => {
    const model = importModel(onnxModel(spec), name);
    const inputs = normals(SAMPLES * sizeOf(model.graph.input.shape), 5);
    const values = [model.graph.input.name, ...model.graph.nodes.map((node) => node.name)];
    const teacher = await openTeacher(model);
    const { taps, output } = await teacher.run(inputs, SAMPLES, values);
    teacher.close();
    const expected = naive(model, inputs, SAMPLES);
    for (const value of values) {
      const error = difference(entry(taps, value), entry(expected, value));
      assert.ok(error < TOLERANCE, `${value}: ${error}`);
    }
    assert.equal(output, entry(taps, model.graph.output));
  });
}

const model = importModel(onnxModel(entry(new Map(Object.entries(layerCases)), "conv")), "conv");
const size = sizeOf(model.graph.input.shape);
const teacher = await openTeacher(model);

test("many samples run in several batches with the same answers", async () => {
  const count = 30_011;
  const one = normals(size, 1);
  const many = new Float32Array(count * size);
  for (let i = 0; i < count; i++) many.set(one, i * size);
  const { output } = await teacher.run(one, 1);
  const all = (await teacher.run(many, count)).output;
  for (const i of [1, 9_999, 20_000, count - 1]) {
    assert.equal(all.slice(i * output.length, (i + 1) * output.length), output, `sample ${i}`);
  }
});

test("no samples, no answers", async () => {
  assert.is((await teacher.run(new Float32Array(), 0, ["it"])).taps.get("it")?.length, 0);
});

const refused = {
  "a sample too short": () => teacher.run(new Float32Array(size - 1), 1),
  "another count": () => teacher.run(new Float32Array(size), 2),
  "half a sample": () => teacher.run(new Float32Array(size / 2), 0.5),
  "a value that isn't there": () => teacher.run(new Float32Array(size), 1, ["nothing"]),
};

for (const [what, run] of Object.entries(refused)) {
  test(`${what} is refused`, async () => {
    const error = await run().catch((reason: unknown) => reason);
    assert.ok(isFailure(error) && error.code.startsWith("input/"), String(error));
  });
}

test("from values known in the middle the rest comes out as from the input, and nothing before them runs", async () => {
  const residual = randomModel(residualGraph, 7);
  const inputs = normals(SAMPLES * sizeOf(residualGraph.input.shape), 2);
  const { taps } = await (await openTeacher(residual)).run(inputs, SAMPLES, ["stem", "depth", "logits"]);
  const { weights, bias } = entry(residual.weights, "depth");
  const silent = { weights: new Float32Array(weights.length), bias };
  const rest = await openTeacher({ ...residual, weights: new Map(residual.weights).set("depth", silent) });
  const known = new Map(["stem", "depth"].map((value) => [value, entry(taps, value)]));
  assert.equal(await rest.runFrom(known, SAMPLES, "logits"), entry(taps, "logits"));
});

test("loading tfjs leaves nothing behind that would rethrow the process's errors", () => {
  assert.is(process.listenerCount("uncaughtException"), 0);
  assert.is(process.listenerCount("unhandledRejection"), 0);
});

test.run();
