import { suite } from "uvu";
import * as assert from "uvu/assert";
import { uncorrected } from "../../runtime/polarize/polarize.ts";
import { decodeModel, encodeModel } from "../../runtime/quantize/file.ts";
import { quantizeModel } from "../../runtime/quantize/quantize.ts";
import { affineOf, rangesOf } from "../../runtime/quantize/ranges.ts";
import { randomModel, separableGraph } from "../support/models.ts";
import { naive } from "../support/naive.ts";
import { normals } from "../support/random.ts";

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

const SAMPLES = 4;
const float = randomModel(separableGraph, 5);
const observed = naive(float, normals(SAMPLES * 8 * 8 * 3, 6), SAMPLES);

test("channels have scales of their own where a depthwise layer alone reads them, and there only", () => {
  const ranges = rangesOf(separableGraph, observed);
  const own = [...ranges].filter(([, { channels }]) => channels).map(([name]) => name);
  assert.equal(own, ["stem"]);
});

test("a faint channel next to a loud one keeps its resolution", () => {
  const loud = new Map(observed).set(
    "stem",
    (observed.get("stem") ?? new Float32Array()).map((x, i) => (i % 8 === 0 ? 10 * x : x)),
  );
  const { scale, channels } = rangesOf(separableGraph, loud).get("stem") ?? { scale: 0 };
  const steps = Array.from(channels ?? [], (channel) => scale * channel);
  assert.ok(
    steps.slice(1).every((step) => step < steps[0] / 4),
    `${steps}`,
  );
});

test("the scales of channels survive on file", () => {
  const policy = { weights: "nf4", blockLength: 32, firstLayer: "int8", lastLayer: "int8", depthwise: "int8" } as const;
  const model = uncorrected(quantizeModel(float, observed, policy));
  assert.equal([...decodeModel(encodeModel(model)).ranges], [...model.ranges]);
});

test.run();
