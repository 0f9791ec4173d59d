import { suite } from "uvu";
import * as assert from "uvu/assert";
import { formatNames } from "../../runtime/model/stages.ts";
import { dequantizeMatrix, quantizeMatrix, storedBytes } from "../../runtime/quantize/format.ts";
import { formats } from "../../runtime/quantize/formats.ts";
import { roundingOrder } from "../../runtime/quantize/gptq.ts";
import { cleared, compacted, expanded, prunedColumns, weakestColumns } from "../../runtime/quantize/pruning.ts";
import { roundMatrix } from "../../runtime/quantize/rounding.ts";
import { secondMoment } from "../../runtime/tensor/products.ts";
import { normals } from "../support/random.ts";

const test = suite("pruning");

const [ROWS, COLUMNS] = [70, 12];
const weights = normals(ROWS * COLUMNS, 1);
const PRUNED = [0, 3, 11];
const moments = secondMoment(normals(200 * ROWS, 2), 200, ROWS);

for (const name of formatNames) {
  test(`${name}: pruned columns weigh nothing, cost a bit each, and come back where they were`, () => {
    const format = formats[name];
    const whole = quantizeMatrix(format, weights, COLUMNS, 32);
    const matrix = cleared(whole, PRUNED);
    assert.equal([prunedColumns(whole), prunedColumns(matrix)], [[], PRUNED]);
    for (const [i, value] of dequantizeMatrix(matrix).entries()) {
      assert.is(value, PRUNED.includes(i % COLUMNS) ? 0 : dequantizeMatrix(whole)[i]);
    }
    const live = compacted(matrix);
    assert.is(live.columns, COLUMNS - PRUNED.length);
    assert.is(storedBytes(format, matrix), storedBytes(format, live) + 2);
    assert.equal(expanded(live, COLUMNS, PRUNED), matrix);
    assert.is(compacted(whole), whole);
  });
}

test("a layer without any column is stored as its bits alone", () => {
  const all = Array.from({ length: COLUMNS }, (_, j) => j);
  const matrix = cleared(quantizeMatrix(formats.nf4, weights, COLUMNS, 32), all);
  assert.is(storedBytes(formats.nf4, matrix), 2);
  assert.equal(expanded(compacted(matrix), COLUMNS, all), matrix);
});

test("the weakest columns are those whose answers vary least on these inputs", () => {
  const few = Float32Array.of(1, 5, 0.1, 0.1, 0, 9);
  assert.equal(weakestColumns(few, 3, Float64Array.of(1, 0, 0, 1), 2), [0, 1]);
  assert.equal(weakestColumns(few, 3, Float64Array.of(1, 0, 0, 1e-6), 2), [0, 2]);
  assert.equal(weakestColumns(few, 3, Float64Array.of(1, 0, 0, 1), 0), []);
});

test("the path that is looked for with the codes carries what pruned columns held", () => {
  const order = roundingOrder(moments, ROWS);
  const { matrix, path } = roundMatrix("nf4", weights, COLUMNS, 32, order, 4, { pruned: PRUNED });
  const plain = roundMatrix("nf4", weights, COLUMNS, 32, order, 4);
  assert.equal([prunedColumns(matrix), prunedColumns(plain.matrix)], [PRUNED, []]);
  const power = weights.reduce((sum, w) => sum + w * w, 0);
  assert.ok(path && path.rank === 4 && path.left < 0.05 * power, `${path?.left} of ${power}`);
});

test.run();
