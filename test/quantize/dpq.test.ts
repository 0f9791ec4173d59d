import { suite } from "uvu";
import * as assert from "uvu/assert";
import { entry } from "../../runtime/base/entry.ts";
import { loadReference } from "../../runtime/kernels/reference.ts";
import { loadWasm } from "../../runtime/kernels/wasm.ts";
import type { QuantizedMatrix } from "../../runtime/model/stages.ts";
import { compile } from "../../runtime/plan/compile.ts";
import { Runner } from "../../runtime/plan/run.ts";
import { polarize } from "../../runtime/polarize/polarize.ts";
import { decodeModel, encodeModel } from "../../runtime/quantize/file.ts";
import { dequantizeMatrix, quantizeMatrix, storedBytes } from "../../runtime/quantize/format.ts";
import { dpq } from "../../runtime/quantize/formats/dpq.ts";
import { dpqFp8, e4m3, tensorScale } from "../../runtime/quantize/formats/dpq-fp8.ts";
import { quantizeModel } from "../../runtime/quantize/quantize.ts";
import { sizeOf } from "../../runtime/tensor/tensor.ts";
import { randomModel, residualGraph } from "../support/models.ts";
import { naive } from "../support/naive.ts";
import { normals } from "../support/random.ts";

const test = suite("dpq");

/** Every finite number of the hardware's E4M3, whose greatest is 240: 1.875 * 2^7. */
const grid = [
  0,
  ...Array.from({ length: 15 * 8 }, (_, i) => [Math.floor(i / 8), i % 8])
    .map(([exponent, mantissa]) => (exponent === 0 ? mantissa * 2 ** -9 : (1 + mantissa / 8) * 2 ** (exponent - 7)))
    .filter((x) => x > 0),
].flatMap((x) => [x, -x]);
const nearest = (x: number): number => Math.min(...grid.map((value) => Math.abs(value - x)));

test("e4m3 gives the nearest number of the grid, and of two the even one", () => {
  for (const x of [...normals(2000, 1)].flatMap((x) => [x, 80 * x, x / 500])) {
    if (Math.abs(x) > 240) continue;
    assert.ok(grid.includes(e4m3(x)), `${x}: ${e4m3(x)}`);
    assert.ok(Math.abs(e4m3(x) - x) <= nearest(x) + 1e-12, `${x}: ${e4m3(x)}`);
  }
  assert.equal([17, 19, 300, -1e9, 2 ** -10, 3 * 2 ** -10].map(e4m3), [16, 20, 240, -240, 0, 2 ** -8]);
});

test("s8 is the power of two that brings the greatest weight to at most 224", () => {
  assert.equal([224, 224.01, 112, 1, 0].map(tensorScale), [1, 2, 0.5, 2 ** -7, 1 / (512 * 224)]);
});

const [ROWS, COLUMNS, BLOCK] = [80, 12, 32];
const weights = normals(ROWS * COLUMNS, 6).map((w, i) => (i % COLUMNS === 5 ? Math.abs(w) : w * (1 + (i % COLUMNS))));

/** Each weight with the scale and the least level of its group, and what it was quantized to. */
function* groupsOf(
  matrix: QuantizedMatrix,
): Generator<{ w: number; scale: number; z: number; q: number; j: number; group: Float32Array }> {
  const restored = dequantizeMatrix(matrix);
  for (const [i, w] of weights.entries()) {
    const [block, j] = [Math.floor(i / COLUMNS / BLOCK), i % COLUMNS];
    const group = weights.filter((_, at) => at % COLUMNS === j && Math.floor(at / COLUMNS / BLOCK) === block);
    const at = block * COLUMNS + j;
    yield { w, scale: matrix.scales[at], z: -(matrix.lowest?.[at] ?? Number.NaN), q: restored[i], j, group };
  }
}

test("for integers: s8 (s4 (clamp(round(W8 / s4) + z, 0, 15) - z)), s4 whole, at most 16, nothing beyond int8", () => {
  const peaks = Array.from({ length: COLUMNS }, (_, j) =>
    Math.max(...weights.filter((_, i) => i % COLUMNS === j).map(Math.abs)),
  );
  for (const { w, scale, z, q, j } of groupsOf(quantizeMatrix(dpq, weights, COLUMNS, BLOCK))) {
    const s8 = peaks[j] / 119;
    const s4 = Math.round(scale / s8);
    assert.ok(Math.abs(scale / s8 - s4) < 1e-4 && s4 >= 1 && s4 <= 16, `${scale / s8}`);
    const code = Math.max(0, Math.min(15, Math.round(w / s8 / s4) + z));
    assert.ok(Math.abs(q - s8 * s4 * (code - z)) < 1e-5 * peaks[j], `${w}: ${q}`);
    assert.ok(Math.abs(s4 * (code - z)) <= 127);
  }
});

test("on FP8: s8 e4m3(clamp(s4 (clamp(round((w / s8) / s4) + z, 0, 15) - z))), to an eighth of a step", () => {
  const s8 = tensorScale(Math.max(...weights.map(Math.abs)));
  for (const { w, scale, z, q, group } of groupsOf(quantizeMatrix(dpqFp8, weights, COLUMNS, BLOCK))) {
    const s4 = (4 * scale) / s8;
    const code = Math.max(0, Math.min(15, Math.round(w / s8 / s4) + z));
    const v = e4m3(Math.max(-224, Math.min(224, s4 * (code - z))));
    assert.ok(Math.abs(q - s8 * v) <= (s8 * s4) / 8 + 1e-6, `${w}: ${q} for ${s8 * v}`);
    // The searched range is a part of that of the group's weights on the grid, zero included.
    const onGrid = [...group].map((x) => e4m3(x / s8));
    const whole = (Math.max(0, ...onGrid) - Math.min(0, ...onGrid)) / 15;
    assert.ok(s4 <= whole * (1 + 1e-6) && s4 >= 0.2 * whole, `${s4} of ${whole}`);
  }
});

test("weights of one sign use all sixteen levels", () => {
  const { lowest, scales } = quantizeMatrix(dpq, weights, COLUMNS, BLOCK);
  for (let i = 5; i < scales.length; i += COLUMNS) assert.is(lowest?.[i], 0);
});

test("a group costs 8 bits for integers: 4.25 bits per weight and a scale per channel", () => {
  const matrix = quantizeMatrix(dpq, normals(64 * 16, 5), 16, 32);
  assert.is((storedBytes(dpq, matrix) * 8) / (64 * 16), 4 + 8 / 32 + 32 / 64);
});

for (const format of ["dpq", "dpq-fp8"] as const) {
  test(`${format}: a prepared model survives its file, and answers the same on every implementation`, async () => {
    const samples = 16;
    const size = sizeOf(residualGraph.input.shape);
    const float = randomModel(residualGraph, 7);
    const observed = naive(float, normals(samples * size, 3), samples);
    const wasm = await loadWasm();
    const policy = {
      weights: format,
      blockLength: 32,
      firstLayer: "int8",
      lastLayer: format,
      depthwise: "int8",
    } as const;
    const quantized = quantizeModel(float, observed, policy);
    const model = polarize(quantized, { float, observed, samples, rank: 4, kernels: wasm });
    const restored = decodeModel(encodeModel(model));
    assert.equal([...restored.layers], [...model.layers]);
    const input = entry(observed, "x").slice(0, size);
    const [a, b] = [wasm, loadReference].map((kernels) => new Runner(compile(restored), kernels).runSync(input));
    assert.equal(a, b);
    const truth = entry(observed, "answer").slice(0, 10);
    assert.ok(Math.max(...a.map((y, i) => Math.abs(y - truth[i]))) < 0.1);
  });
}

test.run();
