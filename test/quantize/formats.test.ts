import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { FormatName } from "../../runtime/model/stages.ts";
import { dequantizeMatrix, NARROW, quantizeMatrix, storedBytes } from "../../runtime/quantize/format.ts";
import { nearestIn, nearestOf, normalFloat } from "../../runtime/quantize/formats/code-book.ts";
import { NF2_LEVELS } from "../../runtime/quantize/formats/nf2.ts";
import { NF3_LEVELS } from "../../runtime/quantize/formats/nf3.ts";
import { NF4_LEVELS } from "../../runtime/quantize/formats/nf4.ts";
import { formats } from "../../runtime/quantize/formats.ts";
import { packCodes, unpackCodes } from "../../runtime/quantize/packing.ts";
import { normals } from "../support/random.ts";

const test = suite("formats");

/**
 * Relative RMS error that each format may have on N(0, 1) weights. Tighten it when a format gets better; never loosen it.
 * int8 uses codes of -64 .. 64 only, for the exactness of the fast kernels (quantize/format.ts).
 */
const tolerance: Record<FormatName, number> = {
  int8: 0.0125,
  nf4: 0.085,
  int4: 0.085,
  pot4: 0.2,
  nf3: 0.2,
  int3: 0.2,
  nf2: 0.4,
  int2: 0.4,
  ternary: 0.5,
  dpq: 0.085,
  "dpq-fp8": 0.1,
};
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
    // A grouped format's grid is as fine as the greatest weight says, which is another one the second time.
    const little = format.grouped ? tolerance[format.name] : 1e-6;
    assert.ok(relativeError(twice, once) < little, `${relativeError(twice, once)}`);
  });

  test(`${format.name}: every code is in the code book and survives packing`, () => {
    const { codes, ...shape } = quantizeMatrix(format, normals(33 * 7, 3), 7, 32);
    for (const code of codes) assert.ok(format.codeBook.includes(code), `${code}`);
    assert.equal(unpackCodes(format, packCodes(format, { ...shape, codes }), shape), codes);
  });

  test(`${format.name}: no pair of products exceeds 16 bits`, () => {
    const largest = Math.max(...format.codeBook.map(Math.abs));
    assert.ok(255 * 2 * largest < 2 ** 15, `${largest}`);
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

for (const levels of [NF4_LEVELS, NF3_LEVELS, NF2_LEVELS]) {
  const bits = Math.log2(levels.length);
  const zero = levels.indexOf(0);
  // The generator's offset (QLoRA): the share of N(0, 1) below the greatest level before all are divided by it.
  const offset = 0.9677083;
  const greatest = 1.8481308;

  test(`nf${bits}: on each side of an exact zero the levels cut N(0, 1) into equal masses`, () => {
    for (const [side, cuts] of [
      [levels.slice(zero + 1), 2 ** (bits - 1)],
      [levels.slice(0, zero).map(Math.abs).reverse(), 2 ** (bits - 1) - 1],
    ] as const) {
      assert.is(side.length, cuts);
      for (const [i, level] of side.entries()) {
        const mass = 0.5 + ((offset - 0.5) * (i + 1)) / cuts;
        assert.ok(Math.abs(massBelow(level * greatest) - mass) < 1e-6, `${level}: ${massBelow(level * greatest)}`);
      }
    }
  });
}

for (const [name, levels] of [
  ["nf4", NF4_LEVELS],
  ["nf3", NF3_LEVELS],
  ["nf2", NF2_LEVELS],
] as const) {
  test(`${name}: no other scale of its levels up to NARROW loses less of N(0, 1)`, () => {
    const weights = normals(64 * 512, 6);
    const error = (codeBook: Int8Array): number => {
      const format = { ...formats[name], codeBook, nearest: (x: number) => nearestOf(codeBook, x) };
      return relativeError(dequantizeMatrix(quantizeMatrix(format, weights, 512, 32)), weights);
    };
    const least = error(formats[name].codeBook);
    for (let largest = 60; largest <= NARROW; largest++) {
      assert.ok(least <= error(normalFloat(levels, largest)), `${largest}`);
    }
  });
}

test("one look finds what a search does", () => {
  for (const { codeBook } of Object.values(formats)) {
    const nearest = nearestIn(codeBook);
    for (let x = -70; x <= 70; x += 0.125) assert.is(nearest(x), nearestOf(codeBook, x), `${x}`);
  }
});

test("an unsymmetric code book is turned round where that fits better", () => {
  const { scales, codes } = quantizeMatrix(formats.nf2, Float32Array.of(1, -0.34, -1, -0.34), 1, 32);
  assert.ok(scales[0] < 0);
  assert.equal([...codes], [-61, 21, 61, 21]);
});

/** Share of N(0, 1) below x (Abramowitz and Stegun 26.2.11). */
function massBelow(x: number): number {
  let [term, sum] = [x, x];
  for (let k = 3; k < 60; k += 2) {
    term *= (x * x) / k;
    sum += term;
  }
  return 0.5 + (sum * Math.exp((-x * x) / 2)) / Math.sqrt(2 * Math.PI);
}

function relativeError(a: Float32Array, b: Float32Array): number {
  const power = (x: Float32Array): number => x.reduce((sum, v) => sum + v * v, 0);
  return Math.sqrt(power(a.map((v, i) => v - b[i])) / power(b));
}

test.run();
