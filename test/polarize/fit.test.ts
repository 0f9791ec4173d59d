import { suite } from "uvu";
import * as assert from "uvu/assert";
import { entry } from "../../runtime/base/entry.ts";
import { loadWasm } from "../../runtime/kernels/wasm.ts";
import type { FloatTeacher } from "../../runtime/model/teacher.ts";
import type { MatmulUnit } from "../../runtime/plan/unit.ts";
import { layerFits } from "../../runtime/polarize/fit.ts";
import { polarize, uncorrected, uncorrectedAccelerator } from "../../runtime/polarize/polarize.ts";
import { dequantizeMatrix } from "../../runtime/quantize/format.ts";
import { quantizeModel } from "../../runtime/quantize/quantize.ts";
import { product } from "../../runtime/tensor/products.ts";
import { sizeOf } from "../../runtime/tensor/tensor.ts";
import { randomModel, residualGraph } from "../support/models.ts";
import { naive } from "../support/naive.ts";
import { normals } from "../support/random.ts";

const test = suite("fit");
const COUNT = 32;
const float = randomModel(residualGraph, 7);
const { shape } = residualGraph.input;
const inputs = { shape: [COUNT, ...shape.slice(1)], data: normals(COUNT * sizeOf(shape), 3) };
const observed = naive(float, inputs.data, COUNT);
const policy = { weights: "nf4", blockLength: 32, firstLayer: "int8", lastLayer: "int8", depthwise: "int8" } as const;
const quantized = quantizeModel(float, observed, policy);
const teacher: FloatTeacher = {
  model: float,
  run: async (data, count) => ({ output: new Float32Array(), taps: naive(float, data, count) }),
  runFrom: async () => new Float32Array(),
  close: () => undefined,
};

test("every layer tells what it takes and how far it is from the float model; corrections show", async () => {
  const model = polarize(quantized, { float, observed, samples: COUNT, rank: 4, kernels: await loadWasm() });
  const plain = await layerFits(uncorrected(quantized), undefined, teacher, inputs);
  const corrected = await layerFits(model, undefined, teacher, inputs);
  assert.equal(
    // The last one's few weights: whether a surrogate helps them is for the samples that were held back to say.
    corrected.slice(0, -1).map(({ name, format, unit }) => [name, format, unit]),
    [
      ["stem", "int8", "digital"],
      ["depth", "int8", "digital"],
      ["point", "nf4", "digital"],
      ["wide", "nf4", "digital"],
    ],
  );
  const [stem, depth, ...coarse] = corrected.slice(0, -1).map(({ rank }) => rank);
  assert.ok(stem > 0 && stem <= 4, `${stem}: with 8 bits a rank may be worth nothing`);
  assert.equal([depth, ...coarse], [0, 4, 4]);
  const [first, , , wide] = corrected;
  assert.ok(first.bits >= 8 && wide.bits > 4 && wide.bits < 6, `${first.bits}, ${wide.bits}`);
  for (const [i, { name, error }] of corrected.entries()) assert.ok(error > 0 && error <= plain[i].error * 1.05, name);
  assert.ok(corrected[3].error < 0.8 * plain[3].error, `${corrected[3].error} of ${plain[3].error}`);
});

test("columns of a layer on tiles that err are found", async () => {
  const { matrix } = entry(quantized.layers, "wide");
  const weights = dequantizeMatrix(matrix);
  const { columns, rows } = matrix;
  const unit: MatmulUnit = {
    name: "tiles",
    uid: "chip",
    layers: new Set(["wide"]),
    nominal: async () => weights,
    async multiply(_layer, codes, count) {
      const products = Float32Array.from(product(codes, weights, count, rows, columns));
      for (let i = 3; i < products.length; i += columns) products[i] *= 1.2;
      return products;
    },
  };
  const fits = await layerFits(
    await uncorrectedAccelerator(uncorrected(quantized), float, unit),
    unit,
    teacher,
    inputs,
  );
  const [wide, ...others] = [...fits].sort((a, b) => (b.columns?.length ?? 0) - (a.columns?.length ?? 0));
  assert.equal([wide.name, wide.unit, wide.columns?.length], ["wide", "accelerator", columns]);
  assert.ok(
    wide.columns?.every((error, column) => (column === 3 ? error > 0.02 : error < 1e-4)),
    String(wide.columns),
  );
  assert.ok(others.every((layer) => layer.columns === undefined && layer.unit === "digital"));
});

test.run();
