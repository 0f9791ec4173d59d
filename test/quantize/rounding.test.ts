import { readFileSync } from "node:fs";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { entry } from "../../runtime/base/entry.ts";
import { isMatmul } from "../../runtime/model/graph.ts";
import { importModel } from "../../runtime/model/import.ts";
import { type QuantizedMatrix, roundingNames } from "../../runtime/model/stages.ts";
import { observe } from "../../runtime/polarize/augment.ts";
import { adaround } from "../../runtime/quantize/adaround.ts";
import { columnLosses, descended } from "../../runtime/quantize/descent.ts";
import { codeOf, neighbourOf, type QuantFormat, quantizeMatrix, scaleAt } from "../../runtime/quantize/format.ts";
import { formats } from "../../runtime/quantize/formats.ts";
import { gptq, gptqSettled, roundingOrder } from "../../runtime/quantize/gptq.ts";
import { inputsOf } from "../../runtime/quantize/quantize.ts";
import { roundMatrix } from "../../runtime/quantize/rounding.ts";
import { decodeNpy } from "../../runtime/tensor/npy.ts";
import { product, secondMoment } from "../../runtime/tensor/products.ts";
import { normals } from "../support/random.ts";
import { sharedData } from "../support/shared.ts";

const test = suite("rounding");

const ROWS = 40;
const COLUMNS = 6;
const weights = normals(ROWS * COLUMNS, 1);
/** Inputs that go together, as neighbouring pixels do. */
const inputs = product(normals(200 * ROWS, 2), normals(ROWS * ROWS, 3), 200, ROWS, ROWS);
const order = roundingOrder(secondMoment(inputs, 200, ROWS), ROWS);
const { metric } = order;

function lossOf(matrix: QuantizedMatrix): number {
  return sum(columnLosses(matrix, weights, metric));
}

function sum(values: Float64Array): number {
  return values.reduce((total, value) => total + value, 0);
}

for (const format of Object.values(formats)) {
  const nearest = quantizeMatrix(format, weights, COLUMNS, 16);

  test(`${format.name}: neighbours have the weight between them, or the code is at the end of its book`, () => {
    for (const [i, weight] of weights.entries()) {
      const [scale, code, other] = [scaleAt(nearest, i), nearest.codes[i], neighbourOf(format, nearest, i, weight)];
      if (code !== other) assert.ok((scale * code - weight) * (scale * other - weight) <= 0, `${code}, ${other}`);
    }
  });

  test(`${format.name}: AdaRound never leaves a column more error than nearest codes, all together a tenth less`, () => {
    const learned = adaround(format, nearest, weights, metric);
    const [before, after] = [nearest, learned].map((matrix) => columnLosses(matrix, weights, metric));
    for (const [j, loss] of after.entries()) assert.ok(loss <= before[j], `column ${j}: ${loss} against ${before[j]}`);
    assert.ok(sum(after) < 0.9 * sum(before), `${sum(after)} against ${sum(before)}`);
    learned.codes.forEach((code, i) => {
      assert.ok(code === nearest.codes[i] || code === neighbourOf(format, nearest, i, weights[i]));
    });
  });

  test(`${format.name}: settling codes and scales leaves less error than GPTQ alone`, () => {
    const before = lossOf(gptq(format, weights, COLUMNS, 16, order));
    const after = lossOf(gptqSettled(format, weights, COLUMNS, 16, order));
    assert.ok(after < 0.95 * before, `${after} against ${before}`);
  });
}

for (const name of ["nf4", "int2", "dpq"] as const) {
  test(`${name}: descent ends where no other code of any weight leaves less error`, () => {
    const format = formats[name];
    const found = descended(format, gptq(format, weights, COLUMNS, 16, order), weights, metric);
    const least = lossOf(found);
    for (let i = 0; i < found.codes.length; i += 23) {
      for (const code of reachable(format, found, i)) {
        assert.ok(lossOf({ ...found, codes: found.codes.map((c, k) => (k === i ? code : c)) }) >= least * (1 - 1e-9));
      }
    }
  });
}

/** Codes that position `i` can have. */
function reachable(format: QuantFormat, matrix: QuantizedMatrix, i: number): Set<number> {
  return new Set([...format.codeBook].map((code) => codeOf(format, matrix, i, scaleAt(matrix, i) * code)));
}

const folder = sharedData("kws/kws_dev.x.npy");
if (folder) {
  test("real layers, NF4: descent, then AdaRound, then nearest codes leave the least error", async () => {
    const float = importModel(readFileSync(new URL("../models/kws.f32.onnx", folder)), "kws.f32.onnx");
    const samples = decodeNpy(readFileSync(folder), "kws_dev.x.npy");
    const size = samples.data.length / samples.shape[0];
    const observed = await observe(float, samples.data.slice(0, 8 * size), 8);
    for (const layer of float.graph.nodes.filter(isMatmul)) {
      const own = entry(float.weights, layer.name).weights;
      const seen = roundingOrder(inputsOf(float.graph, layer, observed).moments, layer.rows);
      const losses = roundingNames.map((rounding) => {
        const { matrix } = roundMatrix("nf4", own, layer.columns, 32, seen, 0, { rounding });
        return sum(columnLosses(matrix, own, seen.metric));
      });
      assert.equal(
        losses,
        [...losses].sort((a, b) => a - b),
        `${layer.name}: ${losses}`,
      );
    }
  });
}

test.run();
