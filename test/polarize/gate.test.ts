import { suite } from "uvu";
import * as assert from "uvu/assert";
import { entry } from "../../runtime/base/entry.ts";
import { loadWasm } from "../../runtime/kernels/wasm.ts";
import { openPlan } from "../../runtime/plan/open.ts";
import { type Gate, highPart, quantileGate, safeGate } from "../../runtime/polarize/gate.ts";
import { forUnit, GatedUnit, gatedLayers } from "../../runtime/polarize/gated-unit.ts";
import { polarize } from "../../runtime/polarize/polarize.ts";
import { quantizeModel } from "../../runtime/quantize/quantize.ts";
import { sizeOf } from "../../runtime/tensor/tensor.ts";
import { randomModel, residualGraph } from "../support/models.ts";
import { naive } from "../support/naive.ts";
import { normals } from "../support/random.ts";

const test = suite("gate");

const SAMPLES = 16;
const size = sizeOf(residualGraph.input.shape);
const float = randomModel(residualGraph, 7);
const inputs = normals(SAMPLES * size, 3);
const kernels = await loadWasm();
const calibration = { float, observed: naive(float, inputs, SAMPLES), samples: SAMPLES, rank: 4, kernels };
const policy = { weights: "nf4", blockLength: 32, firstLayer: "int8", lastLayer: "int8", depthwise: "int8" } as const;
const polarized = polarize(quantizeModel(float, calibration.observed, policy), calibration);
const layers = gatedLayers(polarized);
const model = forUnit(polarized, layers);

/** Every value of every inference, and what was saved. */
async function run(gateOf: (layer: (typeof layers)[number]) => Gate): Promise<{ values: number[][]; unit: GatedUnit }> {
  const unit = new GatedUnit(model, new Map(layers.map((layer) => [layer.node.name, gateOf(layer)])), kernels);
  const onFault = (_: string, error: Error): never => {
    throw error;
  };
  const runner = await openPlan(model, { unit, onFault });
  const values: number[][] = [];
  for (let i = 0; i < SAMPLES; i++) {
    await runner.run(inputs.subarray(i * size, (i + 1) * size), undefined, (_, numbers) => values.push([...numbers]));
  }
  return { values, unit };
}

const open = ({ node }: (typeof layers)[number]): Gate => ({
  highBits: 8,
  usual: new Float32Array(node.columns),
  needed: (_, high) => new Uint8Array(high.length).fill(1),
});
const exact = await run(open);

test("only layers before a relu are gated, and none that adds a residual", () => {
  assert.equal(
    layers.map(({ node }) => node.name),
    ["stem", "wide"],
  );
});

test("the high part of a code is the code without its low bits", () => {
  assert.equal([...highPart(Uint8Array.of(255, 16, 15, 0x5a), 4)], [0xf0, 16, 0, 0x50]);
});

for (const highBits of [7, 6, 5, 4, 1]) {
  test(`safe gates at ${highBits} bits change no value`, async () => {
    const { values, unit } = await run((layer) => safeGate(layer, highBits));
    assert.equal(values, exact.values);
    const skipped = [...unit.savings.values()].reduce((sum, saved) => sum + saved.skipped, 0);
    if (highBits >= 6) assert.ok(skipped > 0, "nothing was skipped, so nothing was shown");
  });
}

test("safe gates hold back more outputs with more bits, and count them", async () => {
  let before = 0;
  for (const highBits of [4, 5, 6, 7]) {
    const { unit } = await run((layer) => safeGate(layer, highBits));
    const { outputs, skipped, vectors } = entry(unit.savings, "wide");
    assert.is(outputs, SAMPLES * 4 * 4 * 32);
    assert.is(vectors, SAMPLES * 4 * 4);
    assert.ok(skipped >= before);
    before = skipped;
  }
  assert.ok(before > 0);
});

test("a quantile gate holds back its share of each column, and adds what the low bits usually bring", () => {
  const columns = 2;
  const high = Float32Array.of(5, 10, 1, 40, 3, 20, 2, 30);
  const whole = high.map((p, i) => p + (i % columns === 0 ? 0.5 : 2 * i));
  const gate = quantileGate({ high, whole }, columns, 0.5, 4);
  assert.equal([...gate.needed(new Uint8Array(), high, 4)], [1, 0, 0, 1, 1, 0, 0, 1]);
  assert.equal([...gate.usual], [0.5, (2 + 10) / 2]);
  assert.ok(
    quantileGate({ high, whole }, columns, 0, 4)
      .needed(new Uint8Array(), high, 4)
      .every((needed) => needed === 1),
  );
});

test("an output that is held back stays at its high part and the usual rest", async () => {
  const usual = 3;
  const gates = new Map([
    [
      "wide",
      {
        ...open(layers[1]),
        highBits: 5,
        usual: new Float32Array(32).fill(usual),
        needed: (_: Uint8Array, high: Float32Array) => new Uint8Array(high.length),
      },
    ],
  ]);
  const unit = new GatedUnit(model, gates, kernels);
  const vectors = Uint8Array.from({ length: 16 * 144 }, (_, i) => (i * 37) % 256);
  const products = await unit.multiply("wide", vectors, 16);
  const weights = await unit.nominal("wide");
  const [row, column] = [5, 7];
  let sum = usual;
  for (let k = 0; k < 144; k++) sum += (vectors[row * 144 + k] & 0xf8) * weights[k * 32 + column];
  assert.ok(Math.abs(products[row * 32 + column] - sum) < 1e-3 * Math.abs(sum) + 1e-3);
  assert.is(entry(unit.savings, "wide").skippedVectors, 16);
});

test.run();
