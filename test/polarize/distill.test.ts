import { suite } from "uvu";
import * as assert from "uvu/assert";
import { loadTfjs } from "../../runtime/kernels/float/tfjs.ts";
import { loadWasm } from "../../runtime/kernels/wasm.ts";
import { importModel } from "../../runtime/model/import.ts";
import type { PolarizedModel } from "../../runtime/model/stages.ts";
import { observe } from "../../runtime/polarize/augment.ts";
import { bestOf, divided } from "../../runtime/polarize/distill/held-back.ts";
import { parametersOf } from "../../runtime/polarize/distill/parameters.ts";
import { studentOf } from "../../runtime/polarize/distill/student.ts";
import { type Course, type Stop, training } from "../../runtime/polarize/distill/training.ts";
import { variationsOf } from "../../runtime/polarize/distill/variations.ts";
import { type Calibration, polarize, replayOf, uncorrected } from "../../runtime/polarize/polarize.ts";
import { lowered } from "../../runtime/polarize/prepare.ts";
import { encodeModel } from "../../runtime/quantize/file.ts";
import { quantizeModel } from "../../runtime/quantize/quantize.ts";
import { randomModel, residualGraph } from "../support/models.ts";
import { onnxModel } from "../support/onnx.ts";
import { recurrentCases } from "../support/onnx-recurrent.ts";
import { normals } from "../support/random.ts";

const test = suite("distill");

const SAMPLES = 16;
const policy = { weights: "int2", blockLength: 16, firstLayer: "int8", lastLayer: "int8", depthwise: "int8" } as const;
const size = 8 * 8 * 3;

const float = randomModel(residualGraph, 7);
const observed = await observe(float, normals(SAMPLES * size, 3), SAMPLES);
const calibration: Calibration = { float, observed, samples: SAMPLES, rank: 4, kernels: await loadWasm() };
const rounded = quantizeModel(float, observed, policy);
const everything: Course["parts"] = ["gain", "bias", "a", "b"];
const course = (steps: number, rate: number): Course => ({ steps, rate, parts: everything, weights: new Map() });

test("a student answers as the kernels that serve the model do", async () => {
  const tf = await loadTfjs();
  const model = polarize(rounded, calibration);
  const student = studentOf(tf, model);
  const replay = replayOf(model, calibration);
  const values = tf.tidy(() => {
    const inputs = tf.tensor(normals(SAMPLES * size, 3), [SAMPLES, 1, 8, 8, 3]);
    const parameters = parametersOf(model).map(({ values, shape }) => tf.tensor(values, shape));
    return [...student.run(inputs, parameters)].map(([name, value]) => [name, value.dataSync()] as const);
  });
  student.close();
  const found = new Map(values);
  for (const node of model.graph.nodes) {
    replay.advance(node, model.layers.get(node.name));
    const { scale, zeroPoint } = replay.range(node.name);
    const codes = replay.codes(node.name);
    const apart = codes.filter(
      (code, i) => Math.abs(scale * (code - zeroPoint) - (found.get(node.name)?.[i] ?? 0)) > 4 * scale,
    );
    // The kernels hold the low-rank factors in fewer bits than the student does: now and then a code is off by a few.
    assert.ok(apart.length < 0.02 * codes.length, `${node.name}: ${apart.length} of ${codes.length} codes`);
  }
});

test("training lowers the divergence on samples that it does not see", async () => {
  const parts = await divided(calibration);
  assert.ok(parts);
  const start = uncorrected(rounded);
  const { before, after, steps, model } = await bestOf(
    start,
    training(start, parts.taught, course(45, 0.02)),
    parts.judge,
  );
  assert.ok(steps > 0 && after < 0.7 * before, `${before} -> ${after} in ${steps} steps`);
  assert.is(parts.judge(model), after);
  assert.equal(
    [...model.layers].map(([, { matrix }]) => matrix),
    [...start.layers].map(([, { matrix }]) => matrix),
  );
});

test("what is worse on samples that were held back is not installed", async () => {
  const start = polarize(rounded, calibration);
  const parts = await divided(calibration);
  assert.ok(parts);
  const spoilt = await bestOf(start, training(start, parts.taught, course(15, 5)), parts.judge);
  assert.is(spoilt.model, start);
  assert.is(spoilt.steps, 0);
});

test("a training ends where nothing gets better any more", async () => {
  const start = uncorrected(rounded);
  const scores = [5, 4, 6, 6, 6, 1];
  let asked = 0;
  async function* stops(): AsyncGenerator<Stop> {
    for (let steps = 1; ; steps++) yield { steps, model: () => ({ ...start }) };
  }
  const best = await bestOf(start, stops(), () => scores[asked++]);
  assert.equal({ ...best, model: undefined }, { model: undefined, steps: 1, before: 5, after: 4 });
  assert.is(asked, 5);
});

test("preparing with distillation is reproducible, says how far it is, and leaves no tensors behind", async () => {
  const tf = await loadTfjs();
  const before = tf.memory().numTensors;
  const told: string[] = [];
  const prepared = (): Promise<PolarizedModel> =>
    lowered({ ...calibration, distillSteps: 15 }, policy, ({ stage, done, of }) => told.push(`${stage} ${done}/${of}`));
  const [one, again] = [await prepared(), await prepared()];
  assert.equal(encodeModel(one), encodeModel(again));
  assert.is(tf.memory().numTensors, before);
  assert.ok(told.includes("distill 14/30"), told.join());
});

test("too few samples to hold any back leave the closed form", async () => {
  const few = { ...calibration, samples: 3, observed: await observe(float, normals(3 * size, 3), 3), distillSteps: 30 };
  const [plain, distilled] = [
    await lowered({ ...few, distillSteps: 0 }, policy, () => {}),
    await lowered(few, policy, () => {}),
  ];
  assert.equal(encodeModel(distilled), encodeModel(plain));
});

test("recurrent layers are distilled, too", async () => {
  const model = importModel(onnxModel(recurrentCases["two layers of lstm, then dense"]), "lstm");
  const inputs = normals(8 * model.graph.input.shape.reduce((all, length) => all * length, 1), 4);
  const basis = { ...calibration, float: model, observed: await observe(model, inputs, 8), samples: 8 };
  const start = uncorrected(quantizeModel(model, basis.observed, policy));
  for await (const stop of training(start, basis, course(2, 0.01))) {
    const changed = parametersOf(stop.model()).filter(({ values }, i) =>
      values.some((x, j) => x !== parametersOf(start)[i].values[j]),
    );
    assert.is(changed.length, parametersOf(start).length);
  }
});

test("variations are mixtures, the same for the same seed", () => {
  const inputs = Float32Array.from({ length: 4 * 20 }, (_, i) => Math.floor(i / 20));
  const made = variationsOf(inputs, [1, 20, 1, 1], 1)(50);
  assert.equal(made, variationsOf(inputs, [1, 20, 1, 1], 1)(50));
  assert.is.not(made[0], variationsOf(inputs, [1, 20, 1, 1], 2)(50)[0]);
  for (const x of made) assert.ok(x > -0.5 && x < 3.5, `${x}`);
  const between = made.filter((_, i) => i % 20 === 0 && Math.abs(made[i] - Math.round(made[i])) > 0.25);
  assert.ok(between.length > 5, `${between.length} of 50 are between two samples`);
});

test.run();
