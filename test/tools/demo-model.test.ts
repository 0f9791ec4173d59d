import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { uniform } from "../../runtime/base/random.ts";
import { openTeacher } from "../../runtime/kernels/float.ts";
import { isLayer, isMatmul, positions } from "../../runtime/model/graph.ts";
import { importModel } from "../../runtime/model/import.ts";
import type { FloatModel, FormatName } from "../../runtime/model/stages.ts";
import { dequantizeMatrix, quantizeMatrix } from "../../runtime/quantize/format.ts";
import { formats } from "../../runtime/quantize/formats.ts";
import { BANDS, modulationMap, ORDERS } from "../../tools/bearing/features.ts";
import { fourier, hann, powerOfFirst, powerOfSecond } from "../../tools/bearing/fft.ts";
import { defectOrders, skf6205 } from "../../tools/bearing/geometry.ts";
import { type Condition, conditions, vibration } from "../../tools/bearing/machine.ts";
import { releaseFile, releases } from "../../tools/bearing/releases.ts";
import { bearingSamples } from "../../tools/bearing/samples.ts";
import { spoil } from "../../tools/bearing/spoil.ts";
import { score } from "../../tools/model/eval/measure.ts";

const test = suite("demo model");

test("the bearing's frequencies are those that Case Western Reserve University publishes", () => {
  const { bpfo, bpfi, bsf, ftf } = defectOrders(skf6205);
  const published = { bpfi: 5.4152, bpfo: 3.5848, ftf: 0.39828, ball: 4.7135 };
  for (const [order, expected] of [
    [bpfi, published.bpfi],
    [bpfo, published.bpfo],
    [ftf, published.ftf],
    [2 * bsf, published.ball],
  ]) {
    assert.ok(Math.abs(order - expected) < 1e-3, `${order} is not ${expected}`);
  }
});

test("one transform gives the spectra of two real signals", () => {
  const next = uniform(1);
  const [first, second] = [0, 1].map(() => Float64Array.from({ length: 16 }, next));
  const [re, im] = [first.slice(), second.slice()];
  fourier(16)(re, im);
  for (let k = 0; k < 16; k++) {
    assert.ok(Math.abs(powerOfFirst(re, im, k) - slowPower(first, k)) < 1e-12);
    assert.ok(Math.abs(powerOfSecond(re, im, k) - slowPower(second, k)) < 1e-12);
  }
});

function slowPower(signal: Float64Array, k: number): number {
  const turn = (2 * Math.PI * k) / signal.length;
  const re = signal.reduce((sum, x, i) => sum + x * Math.cos(turn * i), 0);
  const im = signal.reduce((sum, x, i) => sum + x * Math.sin(turn * i), 0);
  return re ** 2 + im ** 2;
}

test("the window is zero at its ends and one in the middle", () => {
  assert.equal([hann(8)[0], hann(8)[4]], [0, 1]);
});

const RESONANT_BANDS = [7, 8, 9, 10];
const ORDER_STEP = 0.375;

/** Mean modulation at this order over many machines, in bands where the housing rings, or the lowest one. */
function modulation(condition: Condition, order: number, bands = RESONANT_BANDS): number {
  const cell = Math.floor(order / ORDER_STEP);
  const seeds = Array.from({ length: 30 }, (_, i) => i);
  const maps = seeds.map((seed) => modulationMap(vibration(condition, seed)));
  return maps.reduce((sum, map) => sum + Math.max(...bands.map((band) => map[band * ORDERS + cell])), 0) / maps.length;
}

const { bpfo, bpfi, bsf, ftf } = defectOrders(skf6205);
for (const [condition, order, bands] of [
  ["outer race", bpfo, RESONANT_BANDS],
  ["inner race", bpfi, RESONANT_BANDS],
  ["inner race", bpfi - 1, RESONANT_BANDS],
  ["ball", 2 * bsf, RESONANT_BANDS],
  ["ball", 2 * bsf - ftf, RESONANT_BANDS],
  ["cage", ftf, RESONANT_BANDS],
  ["unbalance", 2, [0]],
  ["misalignment", 4, [0]],
  ["looseness", 0.5, [0]],
] as const) {
  test(`${condition}: bands ${bands} are modulated at order ${order.toFixed(2)}, and less so in a healthy machine`, () => {
    const [faulty, healthy] = [condition, "healthy" as const].map((which) => modulation(which, order, [...bands]));
    assert.ok(faulty > healthy + 0.1, `${faulty} against ${healthy}`);
  });
}

test("samples are the same for the same seed, others for another one, within 0 to about 1", () => {
  const samples = bearingSamples(20, 1);
  assert.equal(bearingSamples(20, 1), samples);
  assert.not.equal(bearingSamples(20, 2).inputs.data, samples.inputs.data);
  assert.equal(samples.inputs.shape, [20, BANDS, ORDERS, 1]);
  for (const value of samples.inputs.data) assert.ok(value >= 0 && value < 1.3, `${value}`);
});

const COUNT = 600;
const fresh = bearingSamples(COUNT, 20_001);

for (const condition of conditions) {
  test(`${condition}: about one sample in ${conditions.length}`, () => {
    const share = fresh.labels.filter((label) => conditions[label] === condition).length / COUNT;
    assert.ok(Math.abs(share - 1 / conditions.length) < 0.05, `${share}`);
  });
}

const fileOf = (version: string): Uint8Array => new Uint8Array(readFileSync(releaseFile(version)));

async function answers(model: FloatModel): Promise<Float32Array> {
  const teacher = await openTeacher(model);
  const { output } = await teacher.run(fresh.inputs.data, COUNT);
  teacher.close();
  return output;
}

for (const { version, sha256, accuracyPct } of releases) {
  const file = fileOf(version);
  const model = importModel(file, `bearing-${version}`);

  test(`${version}: is the file that the recipe made, below 200 KB`, () => {
    assert.is(createHash("sha256").update(file).digest("hex"), sha256);
    assert.ok(file.length < 200_000, `${file.length}`);
  });

  test(`${version}: is small enough for a slow link`, () => {
    const layers = model.graph.nodes.filter(isLayer);
    const sent = layers
      .filter(isMatmul)
      .slice(1)
      .reduce((sum, layer) => sum + positions(layer), 0);
    const parameters = layers.reduce((sum, { rows, columns }) => sum + (rows + 1) * columns, 0);
    assert.ok(sent <= 64, `${sent} vectors per inference`);
    assert.ok(parameters <= 60_000, `${parameters} parameters`);
  });

  test(`${version}: is as good as its recipe says, on new samples`, async () => {
    const output = await answers(model);
    const { accuracy } = score(output, output, COUNT, fresh.labels);
    assert.ok(Math.abs(100 * (accuracy ?? 0) - accuracyPct) < 2, `${accuracy}`);
  });

  test(`${version}: spoiled, its float answers stay and its quantized answers go`, async () => {
    const bad = importModel(spoil(file, 1), `spoiled-${version}`);
    const truth = await answers(model);
    assert.ok(agreement(await answers(bad), truth) > 0.99);
    for (const format of ["nf4", "int8"] as const) {
      const [kept, lost] = await Promise.all(
        [model, bad].map(async (one) => agreement(await answers(rounded(one, format)), truth)),
      );
      assert.ok(kept > 0.95, `${format}: ${kept} of the answers of the good model stay`);
      assert.ok(lost < 0.6, `${format}: ${lost} of the answers of the bad model stay`);
    }
  });
}

function agreement(output: Float32Array, truth: Float32Array): number {
  return score(output, truth, COUNT, undefined).agreement;
}

/** The same model with weights that went through a format, in blocks of 32; nothing corrected. */
function rounded(model: FloatModel, format: FormatName): FloatModel {
  const weights = new Map(model.weights);
  for (const { name, columns } of model.graph.nodes.filter(isMatmul)) {
    const layer = model.weights.get(name);
    if (!layer) continue;
    weights.set(name, {
      ...layer,
      weights: dequantizeMatrix(quantizeMatrix(formats[format], layer.weights, columns, 32)),
    });
  }
  return { ...model, weights };
}

test("every seed spoils in its own way", () => {
  const file = fileOf("1.0.0");
  assert.equal(spoil(file, 1), spoil(file, 1));
  assert.not.equal(spoil(file, 1), spoil(file, 2));
});

test.run();
