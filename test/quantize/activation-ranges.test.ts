import { suite } from "uvu";
import * as assert from "uvu/assert";
import { affineOf } from "../../runtime/quantize/ranges.ts";

const test = suite("activation ranges");

const COUNT = 100_000;

for (const channels of [3, 5, 7, 10, 64]) {
  test(`every one of ${channels} channels has its say`, () => {
    // All but the first use the whole range: whoever looks at the first alone clips half of it away.
    const values = Float32Array.from({ length: COUNT * channels }, (_, i) =>
      i % channels === 0 ? 0.01 : ((7 * i) % 1000) / 999,
    );
    const { scale, zeroPoint } = affineOf([values]);
    assert.is(zeroPoint, 0);
    assert.ok(Math.abs(255 * scale - 1) < 0.02, `up to ${255 * scale}`);
  });
}

test("values that are stored alike are judged by all of them, and the extremes always", () => {
  const calm = new Float32Array(COUNT).fill(0.1);
  const wild = Float32Array.from({ length: COUNT }, (_, i) => (i % 2 === 0 ? -1 : 3));
  const { scale, zeroPoint } = affineOf([calm, wild]);
  assert.ok(Math.abs(scale * (255 - zeroPoint) - 3) < 0.02 && Math.abs(scale * zeroPoint - 1) < 0.02);
});

test.run();
