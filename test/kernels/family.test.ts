import { suite } from "uvu";
import * as assert from "uvu/assert";
import { candidates, isExact } from "../../runtime/kernels/family.ts";
import { loadReference } from "../../runtime/kernels/reference.ts";
import { loadPlain, loadWasm } from "../../runtime/kernels/wasm.ts";
import {
  IN_EIGHTS,
  IN_FOURS,
  isNarrow,
  packStarts,
  packSteps,
  packWeights,
} from "../../runtime/kernels/wasm-packing.ts";

const test = suite("kernel families");

test("the kernels that are chosen are exact", async () => {
  const load = await loadWasm();
  assert.ok(isExact(load));
  assert.is(load(16).name, `wasm ${candidates[0]}`);
  assert.is(await loadWasm(), load);
});

test("plain kernels are exact everywhere", async () => {
  assert.ok(isExact(await loadPlain()));
});

test("the known answers are the reference's", () => {
  assert.ok(isExact(loadReference));
});

test("kernels that lose the highest or the lowest bit of a code are not exact", () => {
  for (const spoil of [(code: number) => code & 127, (code: number) => code & 254]) {
    const spoiled: typeof loadReference = (bytes) => {
      const kernels = loadReference(bytes);
      return {
        ...kernels,
        bind(step) {
          const run = kernels.bind(step);
          const input = "input" in step ? kernels.u8(step.input) : new Uint8Array();
          return () => {
            input.set(input.map(spoil));
            run();
          };
        },
      };
    };
    assert.not(isExact(spoiled));
  }
});

const packed = packSteps(Int32Array.of(0, 1, 2, 3, 4, 10, 11), 8);
const { steps } = packed;

const pairs: [rows: number[], narrow: boolean][] = [
  [[64, 64, -64, -64, 127, 64, 64], true],
  [[127, 1, -127, -1, 0, 0, 0], true],
  [[127, -127, -127, 127, 0, 0, 0], true],
  [[100, 29, 0, 0, 0, 0, 0], false],
  [[0, 0, -65, -64, 0, 0, 0], false],
  [[0, 100, 100, 0, 0, 0, 0], true],
  [[0, 0, 0, 100, 100, 0, 0], true],
  [[0, 0, 0, 0, 100, 100, 0], true],
  [[0, 0, 0, 0, 0, 100, 100], false],
];

test("narrow: pairs of neighbours in a step whose products with 255 fit 16 bits together", () => {
  for (const [rows, narrow] of pairs) assert.is(isNarrow(Int8Array.from(rows), 1, steps), narrow, `${rows}`);
});

test("narrow weights are packed four rows of a column at a time", () => {
  const weights = packWeights(Int8Array.of(1, 2, 3, 4, 5, 6, 7), 1, steps, IN_FOURS);
  const starts = [0, 32, 64, 96].map((at) => [...weights.subarray(at, at + 4)]);
  assert.equal(starts, [
    [1, 2, 3, 4],
    [5, 0, 0, 0],
    [6, 7, 0, 0],
    [0, 0, 0, 0],
  ]);
  assert.is(
    weights.reduce((sum, w) => sum + w, 0),
    28,
  );
});

test("narrow weights of a projection are packed eight rows of a column at a time, four columns to a panel", () => {
  const rows = 8;
  const columns = 5;
  const codes = Int8Array.from({ length: rows * columns }, (_, i) => i);
  const { steps } = packSteps(
    Int32Array.from({ length: rows }, (_, k) => k),
    rows,
  );
  const weights = packWeights(codes, columns, steps, IN_EIGHTS);
  assert.is(weights.length, 64);
  for (let j = 0; j < columns; j++) {
    assert.equal(
      [...weights.subarray(8 * j, 8 * j + rows)],
      Array.from({ length: rows }, (_, k) => k * columns + j),
    );
  }
});

test("runs: how many per block, then where each begins and how many codes its pairs of steps take", () => {
  assert.equal([...packed.runs], [2, 0, 8, 10, 8]);
  assert.equal([...packSteps(Int32Array.of(0, 1, 2, 3, 4, 10, 11), 6).runs], [2, 0, 8, 10, 8, 1, 11, 8]);
});

test("steps whose codes do not follow each other make pairs with steps of no rows", () => {
  const { runs, steps } = packSteps(Int32Array.of(0, 1, 2, 3, 10, 11, 12, 13, 14, 15, 16, 17), 12);
  assert.equal([...runs], [2, 0, 8, 10, 8]);
  assert.equal(
    steps.map(({ count }) => count),
    [4, 0, 4, 4],
  );
});

test("sums of signed codes begin with 128 times the weights of their block", () => {
  const blocks = packSteps(Int32Array.of(0, 1, 2), 2);
  const starts = packStarts(Int8Array.of(1, -2, 3, 4, 5, 6), 2, blocks);
  assert.equal(
    [...starts].filter(Boolean),
    [4, 2, 5, 6].map((sum) => 128 * sum),
  );
});

test.run();
