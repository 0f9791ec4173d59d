import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { FormatName } from "../runtime/model/stages.ts";
import { dequantizeMatrix, quantizeMatrix, storedBytes } from "../runtime/quantize/format.ts";
import { formats } from "../runtime/quantize/formats.ts";
import { NF4_LEVELS } from "../runtime/quantize/nf4.ts";
import { packCodes, unpackCodes } from "../runtime/quantize/packing.ts";
import { normals } from "./support/random.ts";

const test = suite("formats");

/** Relative RMS error that each format may have on N(0, 1) weights. Tighten it when a format gets better; never loosen it. */
const tolerance: Record<FormatName, number> = { nf4: 0.085, int8: 0.012 };
const ROWS = 96;
const COLUMNS = 40;

for (const format of Object.values(formats)) {
  test(`${format.name}: error on gaussian weights stays within ${tolerance[format.name]}`, () => {
    const weights = normals(ROWS * COLUMNS, 1);
    const restored = dequantizeMatrix(quantizeMatrix(format, weights, COLUMNS, 32));
    assert.ok(relativeError(restored, weights) < tolerance[format.name], `${relativeError(restored, weights)}`);
  });

  test(`${format.name}: zeros stay zeros`, () => {
    const zeros = new Float32Array(ROWS * COLUMNS);
    assert.equal(dequantizeMatrix(quantizeMatrix(format, zeros, COLUMNS, 32)), zeros);
  });

  test(`${format.name}: a second trip changes little`, () => {
    const once = dequantizeMatrix(quantizeMatrix(format, normals(ROWS * COLUMNS, 2), COLUMNS, 32));
    const twice = dequantizeMatrix(quantizeMatrix(format, once, COLUMNS, 32));
    assert.ok(relativeError(twice, once) < 1e-6, `${relativeError(twice, once)}`);
  });

  test(`${format.name}: every code is in the code book and survives packing`, () => {
    const { codes } = quantizeMatrix(format, normals(33 * 7, 3), 7, 32);
    for (const code of codes) assert.ok(format.codeBook.includes(code), `${code}`);
    assert.equal(unpackCodes(format, packCodes(format, codes), codes.length), codes);
  });

  test(`${format.name}: rows that fill no block are allowed`, () => {
    const weights = normals(33 * 5, 4);
    const matrix = quantizeMatrix(format, weights, 5, 32);
    assert.is(matrix.scales.length, format.blocked ? 2 * 5 : 5);
    assert.ok(relativeError(dequantizeMatrix(matrix), weights) < tolerance[format.name] * 1.2);
  });
}

test("nf4 takes 4.5 bits per weight in blocks of 32", () => {
  const matrix = quantizeMatrix(formats.nf4, normals(64 * 16, 5), 16, 32);
  assert.is((storedBytes(formats.nf4, matrix) * 8) / (64 * 16), 4.5);
});

test("nf4 has the levels of QLoRA: the quantiles of a normal distribution with an exact zero", () => {
  assert.is(NF4_LEVELS.length, 16);
  assert.is(NF4_LEVELS[7], 0);
  const ascending = [...NF4_LEVELS].sort((a, b) => a - b);
  assert.equal(NF4_LEVELS, ascending);
});

function relativeError(a: Float32Array, b: Float32Array): number {
  const power = (x: Float32Array): number => x.reduce((sum, v) => sum + v * v, 0);
  return Math.sqrt(power(a.map((v, i) => v - b[i])) / power(b));
}

test.run();
