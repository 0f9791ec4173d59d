import { suite } from "uvu";
import * as assert from "uvu/assert";
import { entry } from "../../runtime/base/entry.ts";
import { isFailure } from "../../runtime/base/failure.ts";
import { loadWasm } from "../../runtime/kernels/wasm.ts";
import { isLayer, type Layer, macs, positions } from "../../runtime/model/graph.ts";
import type { Correction, PolarizedModel } from "../../runtime/model/stages.ts";
import { energyOf, totalPj } from "../../runtime/plan/energy.ts";
import { weightBytesOf } from "../../runtime/plan/weight-bytes.ts";
import { chooseMix } from "../../runtime/polarize/mix/mix.ts";
import { bitOperations } from "../../runtime/polarize/mix/pricing.ts";
import { polarize, uncorrected } from "../../runtime/polarize/polarize.ts";
import { formats } from "../../runtime/quantize/formats.ts";
import { prunedColumns } from "../../runtime/quantize/pruning.ts";
import { type Budget, quantizeModel } from "../../runtime/quantize/quantize.ts";
import { sizeOf } from "../../runtime/tensor/tensor.ts";
import { randomModel, residualGraph } from "../support/models.ts";
import { naive } from "../support/naive.ts";
import { normals } from "../support/random.ts";

const test = suite("energy");

const SAMPLES = 8;
const float = randomModel(residualGraph, 7);
const observed = naive(float, normals(SAMPLES * sizeOf(residualGraph.input.shape), 3), SAMPLES);
const energy = { macPj: 2, surrogateMacPj: 10, bytePj: 5 };
const calibration = { float, observed, samples: SAMPLES, rank: 2, energy, kernels: await loadWasm() };
const policy = { weights: "nf4", blockLength: 32, firstLayer: "int8", lastLayer: "int8", depthwise: "int8" } as const;
const layers = float.graph.nodes.filter(isLayer);
const allMacs = layers.reduce((sum, layer) => sum + macs(layer), 0);

async function prepared(budget: Budget): Promise<PolarizedModel> {
  const mix = await chooseMix(calibration, { ...policy, budget });
  return polarize(quantizeModel(float, observed, policy, mix), { ...calibration, mix });
}

function bitOperationsOf(model: PolarizedModel): number {
  return layers.reduce((sum, layer) => {
    const { format, matrix, digital } = entry(model.layers, layer.name);
    const rank = digital.surrogate?.rank ?? 0;
    return sum + bitOperations(layer, { bits: formats[format].bits, rank, pruned: prunedColumns(matrix) });
  }, 0);
}

const plain = uncorrected(quantizeModel(float, observed, policy));

/** With a low-rank path of rank 2 in one place. */
function pathIn(place: "digital" | "accelerator", layer: Layer): PolarizedModel {
  const stored = entry(plain.layers, layer.name);
  const [a, b] = [layer.rows, layer.columns].map((length) => new Float32Array(2 * length));
  const corrected: Correction = { ...stored.digital, surrogate: { rank: 2, a, b } };
  return { ...plain, layers: new Map(plain.layers).set(layer.name, { ...stored, [place]: corrected }) };
}

test("arithmetic by the MACs, memory by the stored bytes, and a path by both", () => {
  assert.equal(energyOf(plain, energy), {
    mainPj: 2 * allMacs,
    surrogatePj: 0,
    bytesPj: 5 * weightBytesOf(plain),
  });
  const [layer] = layers;
  const model = pathIn("digital", layer);
  assert.is(energyOf(model, energy).surrogatePj, 10 * 2 * positions(layer) * (layer.rows + layer.columns));
  assert.is(energyOf(model, energy).bytesPj, 5 * weightBytesOf(model));
});

test("on an accelerator: two operations a MAC, and only the path's weights move", () => {
  const [layer] = layers;
  const model = pathIn("accelerator", layer);
  assert.equal(energyOf(model, energy), energyOf(plain, energy), "no model of the accelerator");
  const [digital, analog] = [energyOf(plain, energy), energyOf(model, energy, { operationFj: 250 })];
  assert.is(digital.mainPj - analog.mainPj, macs(layer) * (2 - 0.5));
  assert.is(analog.surrogatePj, 10 * 2 * positions(layer) * (layer.rows + layer.columns));
  const stored = weightBytesOf(model) - weightBytesOf(plain);
  assert.ok(digital.bytesPj - analog.bytesPj > 0 && stored > 0);
});

test("effective efficiency is nm / (nm / low + r (n + m) / high)", () => {
  const [{ name, rows, columns }] = layers;
  const alone = { ...float.graph, nodes: layers.slice(0, 1) };
  const model = pathIn("digital", layers[0]);
  const one = { ...model, graph: alone, layers: new Map([[name, entry(model.layers, name)]]) };
  const effective = macs(layers[0]) / totalPj(energyOf(one, { macPj: 1 / 400, surrogateMacPj: 1 / 5, bytePj: 0 }));
  const [nm, path] = [rows * columns, 2 * (rows + columns)];
  assert.ok(Math.abs(effective / (nm / (nm / 400 + path / 5)) - 1) < 1e-12, `${effective}`);
});

test("bits by bits: activations have eight, the path's numbers 32, and pruned columns none", () => {
  const [layer] = layers;
  const plainly = bitOperations(layer, { bits: 4, rank: 0, pruned: [] });
  assert.is(plainly, 32 * macs(layer));
  const perPosition = 8 * 32 * layer.rows + 32 * 32 * layer.columns;
  assert.is(bitOperations(layer, { bits: 4, rank: 3, pruned: [] }) - plainly, 3 * positions(layer) * perPosition);
  const less = bitOperations(layer, { bits: 4, rank: 0, pruned: [0, 5] });
  assert.is(plainly - less, 32 * positions(layer) * 2 * layer.rows);
});

const budgets: [kind: string, spent: (model: PolarizedModel) => number, budget: (amount: number) => Budget][] = [
  ["energy", (model) => totalPj(energyOf(model, energy)) / 1e6, (microjoules) => ({ microjoules })],
  ["bit operations", bitOperationsOf, (amount) => ({ bitOperations: amount })],
];
for (const [kind, spent, budget] of budgets) {
  test(`a budget of ${kind} is kept and used, and one that is too small is refused`, async () => {
    const whole = spent(polarize(quantizeModel(float, observed, policy), calibration));
    const less = 0.8 * whole;
    const kept = spent(await prepared(budget(less)));
    assert.ok(kept <= less && kept > 0.7 * less, `${kept} of ${less}, ${whole} without a budget`);
    const error = await chooseMix(calibration, { ...policy, criterion: "eagl", budget: budget(whole / 1000) }).catch(
      (cause: unknown) => cause,
    );
    assert.ok(isFailure(error, "plan/does-not-fit"), String(error));
  });
}

test("a budget of energy needs a model of it", async () => {
  const error = await chooseMix({ ...calibration, energy: undefined }, { ...policy, budget: { microjoules: 5 } }).catch(
    (cause: unknown) => cause,
  );
  assert.ok(isFailure(error, "profile/invalid"));
});

test.run();
