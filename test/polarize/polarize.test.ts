import { suite } from "uvu";
import * as assert from "uvu/assert";
import { entry } from "../../runtime/base/entry.ts";
import { Failure } from "../../runtime/base/failure.ts";
import { loadReference } from "../../runtime/kernels/reference.ts";
import { loadWasm } from "../../runtime/kernels/wasm.ts";
import { isMatmul } from "../../runtime/model/graph.ts";
import { type FormatName, type PolarizedModel, roundingNames } from "../../runtime/model/stages.ts";
import { compile } from "../../runtime/plan/compile.ts";
import { Runner } from "../../runtime/plan/run.ts";
import type { MatmulUnit } from "../../runtime/plan/unit.ts";
import { polarize, polarizeAccelerator, uncorrected, uncorrectedAccelerator } from "../../runtime/polarize/polarize.ts";
import { decodeModel, encodeModel } from "../../runtime/quantize/file.ts";
import { quantizeModel } from "../../runtime/quantize/quantize.ts";
import { product } from "../../runtime/tensor/products.ts";
import { sizeOf } from "../../runtime/tensor/tensor.ts";
import { randomModel, residualGraph } from "../support/models.ts";
import { naive } from "../support/naive.ts";
import { normals } from "../support/random.ts";

const test = suite("polarize");

const CALIBRATION = 32;
const PROBES = 24;
const float = randomModel(residualGraph, 7);
const size = sizeOf(residualGraph.input.shape);
const inputs = normals((CALIBRATION + PROBES) * size, 3);
const observed = naive(float, inputs.slice(0, CALIBRATION * size), CALIBRATION);
const probes = inputs.slice(CALIBRATION * size);
const truth = entry(naive(float, probes, PROBES), "logits");
const wasm = await loadWasm();

const policy = (weights: FormatName) =>
  ({ weights, blockLength: 32, firstLayer: "int8", lastLayer: "int8", depthwise: "int8" }) as const;
const calibration = (rank: number) => ({ float, observed, samples: CALIBRATION, rank, kernels: wasm });

/** Relative RMS error of the logits on samples that were not calibrated on. */
async function errorOf(model: PolarizedModel, unit?: MatmulUnit, kernels = wasm): Promise<number> {
  const runner = new Runner(compile(model, unit?.layers), kernels, { unit });
  let error = 0;
  for (let i = 0; i < PROBES; i++) {
    let logits = new Float32Array();
    await runner.run(probes.subarray(i * size, (i + 1) * size), undefined, (value, numbers) => {
      if (value === "logits") logits = numbers as Float32Array<ArrayBuffer>;
    });
    for (let j = 0; j < 10; j++) error += (logits[j] - truth[i * 10 + j]) ** 2;
  }
  return Math.sqrt(error / truth.reduce((sum, y) => sum + y * y, 0));
}

test("int8 comes close to the float model without any correction", async () => {
  assert.ok((await errorOf(uncorrected(quantizeModel(float, observed, policy("int8"))))) < 0.05);
});

test("surrogates take most of what nf4 costs, and more rank takes more", async () => {
  const model = quantizeModel(float, observed, policy("nf4"));
  const plain = await errorOf(uncorrected(model));
  const byRank = [];
  for (const rank of [0, 4, 8]) byRank.push(await errorOf(polarize(model, calibration(rank))));
  assert.ok(byRank[0] < plain, `bias only: ${byRank[0]} against ${plain}`);
  assert.ok(byRank[1] < byRank[0] && byRank[2] < byRank[1], `${byRank}`);
  assert.ok(byRank[2] < 0.6 * plain, `rank 8: ${byRank[2]} against ${plain}`);
});

test("the rounding that a policy asks for chooses the codes; the nearest ones answer worst", async () => {
  const model = quantizeModel(float, observed, policy("int3"));
  const errors = [];
  for (const rounding of roundingNames) errors.push(await errorOf(polarize(model, { ...calibration(4), rounding })));
  const [gptq, adaround, nearest] = errors;
  assert.ok(gptq < nearest && adaround < nearest && gptq !== adaround, `${errors}`);
});

test("the same seed and samples give the same model, byte by byte", () => {
  const model = quantizeModel(float, observed, policy("nf4"));
  assert.equal(encodeModel(polarize(model, calibration(4))), encodeModel(polarize(model, calibration(4))));
});

test("reference and wasm kernels serve the same answers", async () => {
  const model = polarize(quantizeModel(float, observed, policy("nf4")), calibration(8));
  assert.ok(Math.abs((await errorOf(model)) - (await errorOf(model, undefined, loadReference))) < 1e-3);
});

test("a model on file is the model in memory", async () => {
  const model = polarize(quantizeModel(float, observed, policy("nf4")), calibration(8));
  const restored = decodeModel(encodeModel(model));
  assert.equal([...restored.layers], [...model.layers]);
  assert.equal(restored.graph, model.graph);
  assert.is(await errorOf(restored), await errorOf(model));
});

/** Columns of an imagined analog array: each with its own gain, an offset, and weights that are a little wrong. */
function analogUnit(): MatmulUnit {
  const names = residualGraph.nodes
    .filter(isMatmul)
    .slice(1, -1)
    .map(({ name }) => name);
  const layers = new Map(
    names.map((name, i) => {
      const { weights, bias } = entry(float.weights, name);
      const columns = bias.length;
      const wrong = normals(weights.length, 50 + i);
      const gain = normals(columns, 60 + i).map((g) => 1 + 0.05 * g);
      const real = weights.map((w, k) => gain[k % columns] * (w + 0.03 * Math.abs(w) * wrong[k]));
      return [name, { real, weights, offset: normals(columns, 70 + i).map((o) => 20 * o), columns }] as const;
    }),
  );
  return {
    name: "imagined",
    uid: "0001",
    layers: new Set(names),
    async multiply(name, vectors, count) {
      const { real, offset, columns } = entry(layers, name);
      const sums = product(vectors, real, count, real.length / columns, columns);
      return Float32Array.from(sums, (y, i) => y + offset[i % columns]);
    },
    nominal: async (name) => entry(layers, name).weights,
  };
}

test("an accelerator with wrong gains, offsets and weights is corrected from its answers alone", async () => {
  const digital = polarize(quantizeModel(float, observed, policy("int8")), calibration(4));
  const unit = analogUnit();
  const plain = await errorOf(await uncorrectedAccelerator(digital, float, unit), unit);
  const corrected = await polarizeAccelerator(digital, calibration(4), unit);
  assert.ok(plain > 0.15, `uncorrected: ${plain}`);
  assert.ok((await errorOf(corrected, unit)) < 0.25 * plain, `${await errorOf(corrected, unit)} against ${plain}`);
  assert.equal(corrected.accelerator, { uid: "0001" });
});

test("a refit of columns takes back a drift of gains, and keeps the low-rank paths", async () => {
  const digital = polarize(quantizeModel(float, observed, policy("int8")), calibration(4));
  const unit = analogUnit();
  const fresh = await polarizeAccelerator(digital, calibration(4), unit);
  const faded: MatmulUnit = {
    ...unit,
    multiply: async (...call) => (await unit.multiply(...call)).map((y, i) => y * (0.5 + 0.02 * (i % 8))),
  };
  const stale = await errorOf(fresh, faded);
  const refitted = await polarizeAccelerator(fresh, calibration(4), faded, "columns");
  const after = await errorOf(refitted, faded);
  assert.ok(after < 0.3 * stale, `${after} against ${stale}`);
  for (const name of unit.layers) {
    assert.is(refitted.layers.get(name)?.accelerator?.surrogate, fresh.layers.get(name)?.accelerator?.surrogate);
  }
});

test("after drift ranks may grow, as far as their share of the layer's multiplications allows", async () => {
  const digital = polarize(quantizeModel(float, observed, policy("int8")), calibration(4));
  const unit = analogUnit();
  const little = await polarizeAccelerator(digital, { ...calibration(1), macsShare: 0.5 }, unit);
  const grown = await polarizeAccelerator(digital, { ...calibration(1), macsShare: 0.5 }, unit, "grown");
  for (const { name, rows, columns } of residualGraph.nodes
    .filter(isMatmul)
    .filter((node) => unit.layers.has(node.name))) {
    const [one, rank] = [little, grown].map(({ layers }) => layers.get(name)?.accelerator?.surrogate?.rank ?? 0);
    assert.ok(one === 1 && rank > 1 && rank * (rows + columns) <= 0.5 * rows * columns, `${name}: ${one}, ${rank}`);
  }
  const [before, after] = [await errorOf(little, unit), await errorOf(grown, unit)];
  assert.ok(after < before, `${before} -> ${after}`);
});

test("a layer that no correction recovers goes back to the digital kernels, and is told", async () => {
  const digital = polarize(quantizeModel(float, observed, policy("int8")), calibration(4));
  const unit = analogUnit();
  const [broken] = unit.layers;
  const noise = normals(1 << 20, 9);
  const stuck: MatmulUnit = {
    ...unit,
    multiply: async (name, vectors, count) => {
      const products = await unit.multiply(name, vectors, count);
      return name === broken ? products.map((_, i) => 1000 * noise[i]) : products;
    },
  };
  const returned: string[] = [];
  const onReturned = (layer: string): void => void returned.push(layer);
  const patient = await polarizeAccelerator(digital, { ...calibration(0), onReturned }, stuck);
  assert.equal(returned, []);
  assert.ok(patient.layers.get(broken)?.accelerator, "it was given up, and nobody had said when");
  const corrected = await polarizeAccelerator(digital, { ...calibration(0), onReturned, digitalAbove: 0.3 }, stuck);
  assert.equal(returned, [broken]);
  assert.is(corrected.layers.get(broken)?.accelerator, undefined);
  assert.ok((await errorOf(corrected, stuck)) < 0.2);
});

test("a layer whose accelerator fails is computed digitally in the same inference", async () => {
  const digital = polarize(quantizeModel(float, observed, policy("int8")), calibration(4));
  const unit = analogUnit();
  const corrected = await polarizeAccelerator(digital, calibration(4), unit);
  const dead: MatmulUnit = { ...unit, multiply: () => Promise.reject(new Failure("bridge/timeout", "no answer")) };
  const faults: string[] = [];
  const runner = new Runner(compile(corrected, dead.layers), wasm, {
    unit: dead,
    onFault: (layer) => faults.push(layer),
  });
  const expected = await new Runner(compile(digital), wasm).run(probes.subarray(0, size));
  assert.equal(await runner.run(probes.subarray(0, size)), expected);
  assert.equal(faults, [...unit.layers]);
});

for (const [what, damage] of [
  ["cut short", (file: Uint8Array) => file.subarray(0, file.length >> 1)],
  ["empty", () => new Uint8Array()],
  [
    "of another kind",
    () => new TextEncoder().encode("not a model at all, but long enough to be looked at more closely"),
  ],
  ["with one bit flipped", (file: Uint8Array) => file.map((byte, i) => (i === 5000 ? byte ^ 1 : byte))],
] as const) {
  test(`a prepared model ${what} is refused`, () => {
    const file = encodeModel(uncorrected(quantizeModel(float, observed, policy("nf4"))));
    assert.throws(() => decodeModel(damage(file)), /prepared model/);
  });
}

test.run();
