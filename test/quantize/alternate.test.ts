import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { QuantizedMatrix } from "../../runtime/model/stages.ts";
import { alternate } from "../../runtime/quantize/alternate.ts";
import { dequantizeMatrix } from "../../runtime/quantize/format.ts";
import { formats } from "../../runtime/quantize/formats.ts";
import { gptqSettled, roundingOrder } from "../../runtime/quantize/gptq.ts";
import { lowRank } from "../../runtime/tensor/linear.ts";
import { product, secondMoment } from "../../runtime/tensor/products.ts";
import { normals } from "../support/random.ts";

const test = suite("alternate");

const ROWS = 48;
const COLUMNS = 24;
const RANK = 4;
const weights = normals(ROWS * COLUMNS, 1);
const noise = normals(400 * ROWS, 4).map((x) => 0.3 * x);
/** Inputs that go together, as neighbouring pixels do. */
const inputs = Float32Array.from(product(normals(400 * ROWS, 2), normals(ROWS * ROWS, 3), 400, ROWS, ROWS)).map(
  (x, i) => x + noise[i],
);
const moments = secondMoment(inputs, 400, ROWS);

/** Mean squared error of the outputs after the best path of rank RANK. */
function errorOf(quantized: Float32Array): number {
  const missing = Float64Array.from(weights, (w, i) => w - quantized[i]);
  return lowRank(missing, moments, ROWS, COLUMNS, RANK).left;
}

for (const name of ["nf4", "nf3", "int2", "ternary"] as const) {
  test(`${name}: codes chosen together with the path leave less error than codes chosen before it`, () => {
    const order = roundingOrder(moments, ROWS);
    const round = (w: Float32Array): QuantizedMatrix => gptqSettled(formats[name], w, COLUMNS, 32, order);
    const before = round(weights);
    const { matrix: together } = alternate(round, weights, order, RANK, 12);
    const [plain, better] = [before, together].map((matrix) => errorOf(dequantizeMatrix(matrix)));
    assert.ok(better < 0.95 * plain, `${better} against ${plain}`);
    for (const code of together.codes) assert.ok(formats[name].codeBook.includes(code));
  });
}

test.run();
