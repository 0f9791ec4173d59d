import { suite } from "uvu";
import * as assert from "uvu/assert";
import { codeOf, dequantizeMatrix, emptyMatrix, quantizeMatrix, scaleAt } from "../runtime/quantize/format.ts";
import { formats } from "../runtime/quantize/formats.ts";
import { gptq, roundingOrder } from "../runtime/quantize/gptq.ts";
import { product, secondMoment } from "../runtime/tensor/products.ts";
import { normals } from "./support/random.ts";

const test = suite("gptq");

/** More rows than are rounded together, and no multiple of them. */
const ROWS = 83;
const COLUMNS = 12;
const weights = normals(ROWS * COLUMNS, 1);
/** Inputs that go together, as neighbouring pixels do. */
const inputs = product(normals(300 * ROWS, 2), normals(ROWS * ROWS, 3), 300, ROWS, ROWS);
const moments = secondMoment(inputs, 300, ROWS);
const { order, u } = roundingOrder(moments, ROWS);
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
  assert.equal(gptq(format, weights, COLUMNS, 32, { order, u }).codes, rowByRow());
});

test("errors cancel on the inputs: a third less output error than rounding to the nearest", () => {
  const errorOf = (quantized: Float32Array): number => {
    const error = product(
      inputs,
      weights.map((w, i) => w - quantized[i]),
      300,
      ROWS,
      COLUMNS,
    );
    return error.reduce((sum, e) => sum + e * e, 0);
  };
  const nearest = errorOf(dequantizeMatrix(quantizeMatrix(format, weights, COLUMNS, 32)));
  const cancelled = errorOf(dequantizeMatrix(gptq(format, weights, COLUMNS, 32, { order, u })));
  assert.ok(cancelled < 0.67 * nearest, `${cancelled} against ${nearest}`);
});

test.run();
