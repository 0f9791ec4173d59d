import { suite } from "uvu";
import * as assert from "uvu/assert";
import { someRows } from "../../runtime/model/patches.ts";

const test = suite("patches");

test("few vectors are all looked at", () => {
  assert.equal([...someRows(4)], [0, 1, 2, 3]);
});

test("of many, every row and column of an image is looked at as often", () => {
  // Keyword spotting: 25 x 5 positions; image classification: 32 x 32, 16 x 16, 8 x 8.
  for (const [samples, height, width] of [
    [128, 25, 5],
    [64, 25, 5],
    [200, 32, 32],
    [48, 7, 7],
    [1000, 3, 9],
  ]) {
    const rows = [...someRows(samples * height * width)];
    assert.ok(rows.length <= 4096 && rows.length >= Math.min(1300, samples * height * width), `${rows.length}`);
    const seen = new Array<number>(width).fill(0);
    for (const row of rows) seen[row % width]++;
    assert.ok(Math.max(...seen) < 1.1 * Math.min(...seen) + 2, `${samples} x ${height} x ${width}: ${seen}`);
  }
});

test.run();
