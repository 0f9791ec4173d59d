import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { QuantizedMatrix } from "../../runtime/model/stages.ts";
import { codeOf, dequantizeMatrix, emptyMatrix, quantizeMatrix, scaleAt } from "../../runtime/quantize/format.ts";
import { formats } from "../../runtime/quantize/formats.ts";
import { gptq, gptqSettled, roundingOrder } from "../../runtime/quantize/gptq.ts";
import { refitScales } from "../../runtime/quantize/scales.ts";
import { product, secondMoment } from "../../runtime/tensor/products.ts";
import { normals } from "../support/random.ts";

const test = suite("gptq");

/** More rows than are rounded together, and no multiple of them. */
const ROWS = 83;
const COLUMNS = 12;
const weights = normals(ROWS * COLUMNS, 1);
/** Inputs that go together, as neighbouring pixels do. */
const inputs = product(normals(300 * ROWS, 2), normals(ROWS * ROWS, 3), 300, ROWS, ROWS);
const moments = secondMoment(inputs, 300, ROWS);
const rounding = roundingOrder(moments, ROWS);
const { order, u } = rounding;
const format = formats.int4;

/** Algorithm 1 of the paper, row by row as it stands there. */
function rowByRow(): Int8Array {
  const matrix = emptyMatrix(format, weights, COLUMNS, 32);
  const left = Float64Array.from(weights);
  for (const [i, row] of order.entries()) {
    for (let j = 0; j < COLUMNS; j++) {
      const at = row * COLUMNS + j;
      matrix.codes[at] = codeOf(format, matrix, at, left[at]);
      const error = (left[at] - scaleAt(matrix, at) * matrix.codes[at]) / u[i * ROWS + i];
      for (let later = i + 1; later < ROWS; later++) left[order[later] * COLUMNS + j] -= u[i * ROWS + later] * error;
    }
  }
  return matrix.codes;
}

test("rounding rows together gives the codes of rounding them one by one", () => {
  assert.equal(gptq(format, weights, COLUMNS, 32, rounding).codes, rowByRow());
});

/** What the inputs make of the weights' error: the trace of E' R E. */
function errorOf(matrix: QuantizedMatrix): number {
  const quantized = dequantizeMatrix(matrix);
  const error = weights.map((w, i) => w - quantized[i]);
  const seen = product(rounding.metric, error, ROWS, ROWS, COLUMNS);
  return seen.reduce((sum, value, i) => sum + value * error[i], 0);
}

test("errors cancel on the inputs: a third less output error than rounding to the nearest", () => {
  const nearest = errorOf(quantizeMatrix(format, weights, COLUMNS, 32));
  const cancelled = errorOf(gptq(format, weights, COLUMNS, 32, rounding));
  assert.ok(cancelled < 0.67 * nearest, `${cancelled} against ${nearest}`);
});

test("refitted scales are the best for their codes: no other ones near them answer better", () => {
  const fitted = refitScales(format, gptq(format, weights, COLUMNS, 32, rounding), weights, rounding.metric);
  const least = errorOf(fitted);
  for (const at of [0, 7, fitted.scales.length - 1]) {
    for (const factor of [0.98, 1.02]) {
      const scales = fitted.scales.map((scale, i) => (i === at ? factor * scale : scale));
      assert.ok(errorOf({ ...fitted, scales }) > least, `scale ${at} times ${factor}`);
    }
  }
});

for (const name of ["nf4", "int3", "int2", "ternary"] as const) {
  test(`${name}: codes and scales that fit each other leave less error than scales of the weights alone`, () => {
    const before = errorOf(gptq(formats[name], weights, COLUMNS, 32, rounding));
    const after = errorOf(gptqSettled(formats[name], weights, COLUMNS, 32, rounding));
    assert.ok(after < 0.95 * before, `${after} against ${before}`);
  });
}

test("a block without weights keeps a scale that can be stored", () => {
  const empty = weights.map((w, i) => (i < 32 * COLUMNS ? 0 : w));
  const { scales, codes } = gptqSettled(formats.int4, empty, COLUMNS, 32, rounding);
  assert.ok(scales.every(Number.isFinite));
  assert.ok(dequantizeMatrix({ rows: ROWS, columns: COLUMNS, codes, scales, blockLength: 32 }).every(Number.isFinite));
});

test.run();
