import { readFileSync } from "node:fs";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { AcceleratorProfile } from "../device-profiles/accelerator.ts";
import { loadAcceleratorProfile } from "../device-profiles/profiles.ts";
import { exp2Negative, log2, normals, q16 } from "../firmware-bridge/emulator/fixed.ts";
import { driftExponent, pcmCells, programmingSigma, readSigma } from "../firmware-bridge/emulator/pcm.ts";
import { bindReference } from "../firmware-bridge/emulator/readout-reference.ts";
import { bindWasm, suitsWasm } from "../firmware-bridge/emulator/readout-wasm.ts";
import { sramCells } from "../firmware-bridge/emulator/sram.ts";
import { Tile } from "../firmware-bridge/emulator/tile.ts";
import { cellTarget, maxLevel, planeCount } from "../firmware-bridge/planes.ts";
import { crc32 } from "../firmware-bridge/protocol/crc.ts";
import { uniform } from "../runtime/base/random.ts";

const test = suite("physics");
const [ideal, sram, pcm] = await Promise.all(
  ["ideal", "sram-bitplane-64x64", "pcm-256x256"].map(loadAcceleratorProfile),
);
const fresh = { ageSeconds: 0, temperatureC: 25 };
const old = (ageSeconds: number) => ({ ageSeconds, temperatureC: 25 });

function moments(values: Iterable<number>): { mean: number; sigma: number } {
  const all = Float64Array.from(values);
  const mean = all.reduce((sum, value) => sum + value, 0) / all.length;
  return { mean, sigma: Math.sqrt(all.reduce((sum, value) => sum + (value - mean) ** 2, 0) / all.length) };
}

/** Within `share` of what is expected. */
function near(got: number, expected: number, share: number, what: string): void {
  assert.ok(Math.abs(got - expected) <= share * Math.abs(expected), `${what}: ${got} instead of ${expected}`);
}

const cellsOf = (profile: AcceleratorProfile, value: number): Float32Array =>
  new Float32Array(profile.array.rows * profile.array.columns * planeCount(profile.array)).fill(value);

test("sram: fresh cells are the target times N(1, sigma); without cells there is nothing", () => {
  if (sram.cells.model !== "sram") throw new Error("another model");
  const cells = sramCells(sram, sram.cells, 1);
  for (const target of [1, -1]) {
    const { mean, sigma } = moments(cells.conductances(cellsOf(sram, target), 1, fresh));
    near(mean, target, 0.01, "mean");
    near(sigma, 0.1, 0.03, "sigma");
  }
  assert.ok(cells.conductances(cellsOf(sram, 0), 1, old(1e6)).every((g) => g === 0));
});

test("sram: log conductance falls by nu ln(t / t0), nu from N(0.05, 0.02), and not before t0", () => {
  if (sram.cells.model !== "sram") throw new Error("another model");
  const cells = sramCells(sram, sram.cells, 2);
  const at = (age: number): Float32Array => cells.conductances(cellsOf(sram, 1), 1, old(age));
  const begin = at(60);
  assert.equal(at(0), begin);
  for (const age of [3600, 86400, 31_557_600]) {
    const exponents = at(age).map((g, i) => -Math.log(g / begin[i]) / Math.log(age / 60));
    const { mean, sigma } = moments(exponents);
    near(mean, 0.05, 0.02, "mean exponent");
    near(sigma, 0.02, 0.03, "sigma of the exponent");
  }
});

test("sram: mismatch belongs to the chip, not to what is programmed", () => {
  if (sram.cells.model !== "sram") throw new Error("another model");
  const [a, b, other] = [1, 1, 2].map((seed) => {
    if (sram.cells.model !== "sram") throw new Error("another model");
    return sramCells(sram, sram.cells, seed);
  });
  const ones = cellsOf(sram, 1);
  assert.equal(a.conductances(ones, 1, fresh), b.conductances(ones, 5, fresh));
  assert.not.equal(a.conductances(ones, 1, fresh), other.conductances(ones, 1, fresh));
});

// aihwkit, src/aihwkit/inference/noise/pcm.py, evaluated by hand at g / gMax = 0, 0.5 and 1
test("pcm: the formulas give aihwkit's numbers", () => {
  near(programmingSigma(0, 25), 0.26348, 1e-12, "programming at 0");
  near(programmingSigma(0.5, 25), 0.26348 + 1.965 / 2 - 1.1731 / 4, 1e-12, "programming at 1/2");
  near(programmingSigma(1, 12.5), (0.26348 + 1.965 - 1.1731) / 2, 1e-12, "programming at 1, half the range");
  assert.equal(driftExponent(1), { mean: 0.049, sigma: 0.008 });
  assert.equal(driftExponent(0), { mean: 0.1, sigma: 0.045 });
  near(driftExponent(0.1).mean, 0.0155 * Math.LN10 + 0.0244, 1e-12, "mean exponent at 1/10");
  near(driftExponent(0.1).sigma, 0.0125 * Math.LN10 - 0.0059, 1e-12, "sigma of the exponent at 1/10");
  near(readSigma(1, 20), 0.0088 * Math.sqrt(Math.log((20 + 250e-9) / 500e-9)), 1e-12, "reading at 1");
  near(readSigma(0, 20), 0.2 * Math.sqrt(Math.log((20 + 250e-9) / 500e-9)), 1e-12, "reading at 0 is capped");
});

for (const share of [0.25, 0.5, 1]) {
  test(`pcm: programmed to ${share} of the range, cells have the formula's mean and deviation`, () => {
    if (pcm.cells.model !== "pcm") throw new Error("another model");
    const level = share * maxLevel(pcm.array);
    const values = pcmCells(pcm, pcm.cells, 3).conductances(cellsOf(pcm, level), 1, fresh);
    const us = moments(values.map((units) => (units * 25) / maxLevel(pcm.array)));
    // The other side of the pair is cut off at zero: half a normal distribution, its mean sigma / sqrt(2 pi).
    near(us.mean, 25 * share - programmingSigma(0, 25) / Math.sqrt(2 * Math.PI), 0.005, "mean");
    const made = programmingSigma(share, 25);
    const read = 25 * share * readSigma(share, 20);
    near(us.sigma, Math.hypot(made, read, 0.58 * programmingSigma(0, 25)), 0.03, "sigma");
  });
}

test("pcm: programming again draws again, and a year costs what the drift exponent says", () => {
  if (pcm.cells.model !== "pcm") throw new Error("another model");
  const cells = pcmCells(pcm, pcm.cells, 4);
  const full = cellsOf(pcm, maxLevel(pcm.array));
  assert.not.equal(cells.conductances(full, 1, fresh), cells.conductances(full, 2, fresh));
  assert.equal(cells.conductances(full, 1, fresh), cells.conductances(full, 1, fresh));
  const year = 31_557_600;
  const kept = moments(cells.conductances(full, 1, old(year))).mean / moments(cells.conductances(full, 1, fresh)).mean;
  near(kept, ((year + 20) / 20) ** -0.049, 0.02, "conductance after a year");
});

/** Every plane read once, with the steps as they are. */
const once = new Uint8Array(8 * planeCount(sram.array));

/** A tile of the profile, all of it programmed with random levels, and vectors for it. */
function programmed(profile: AcceleratorProfile, seed: number): { tile: Tile; levels: Int8Array; vectors: Uint8Array } {
  const { rows, columns } = profile.array;
  const next = uniform(seed);
  const max = maxLevel(profile.array);
  const levels = Int8Array.from({ length: rows * columns }, () => Math.floor((2 * max + 1) * next()) - max);
  const tile = new Tile(profile, seed);
  tile.program(levels, rows, columns, fresh);
  return { tile, levels, vectors: Uint8Array.from({ length: 20 * rows }, () => Math.floor(256 * next())) };
}

function product(levels: Int8Array, vectors: Uint8Array, rows: number, columns: number): Int32Array {
  return Int32Array.from({ length: (vectors.length / rows) * columns }, (_, i) => {
    const [vector, column] = [Math.floor(i / columns), i % columns];
    let sum = 0;
    for (let row = 0; row < rows; row++) sum += vectors[vector * rows + row] * levels[row * columns + column];
    return sum;
  });
}

test("an ideal tile multiplies exactly, with levels in one cell or in bit planes", () => {
  for (const cells of ["multi-level", "bit-planes"] as const) {
    const profile = { ...ideal, array: { ...ideal.array, rows: 50, columns: 30, cells } };
    const { tile, levels, vectors } = programmed(profile, 5);
    const sums = new Int32Array(20 * 30);
    assert.is(tile.multiply(vectors, sums), 0);
    assert.equal(sums, product(levels, vectors, 50, 30));
  }
});

test("bit planes add up to the level", () => {
  for (let level = -7; level <= 7; level++) {
    const planes = [0, 1, 2].map((plane) => 2 ** plane * cellTarget(sram.array, level, plane));
    assert.is(
      planes.reduce((sum, value) => sum + value, 0),
      level,
    );
  }
});

/** The same profile with only this of its faults. */
function only(faults: Partial<AcceleratorProfile["converter"]>): AcceleratorProfile {
  const none = { bits: 8, gainSigma: 0, offsetLsb: 0, noiseLsb: 0, skipsEmptyPlanes: false, reads: 1 };
  return { ...sram, cells: { model: "ideal" }, converter: { ...none, ...faults } };
}

test("converters: codes are sums over steps, rounded and clamped, and clamping is counted", () => {
  const { rows, columns } = sram.array;
  const tile = new Tile(only({ bits: 6 }), 1);
  tile.program(new Int8Array(rows * columns).fill(1), rows, columns, fresh);
  const one = (active: number, step: number): number[] => {
    tile.setRange(new Uint32Array(columns).fill(q16(step)), once);
    const sums = new Int32Array(columns);
    const saturated = tile.multiply(
      Uint8Array.from({ length: rows }, (_, row) => (row < active ? 1 : 0)),
      sums,
    );
    return [sums[0], saturated];
  };
  assert.equal(one(10, 1), [10, 0]);
  assert.equal(one(10, 4), [3, 0], "10 / 4 rounds up");
  assert.equal(one(64, 1), [31, columns], "the largest code of 6 bits");
});

const spread: [what: string, faults: Partial<AcceleratorProfile["converter"]>, step: number, expected: number][] = [
  ["gain", { gainSigma: 0.03, bits: 12 }, 0.05, (0.03 * 32) / 0.05],
  ["offset", { offsetLsb: 3 }, 1, 3],
  ["noise", { noiseLsb: 2 }, 1, Math.hypot(2, Math.sqrt(1 / 12))],
];
for (const [what, faults, step, expected] of spread) {
  test(`converters: ${what} has its sigma`, () => {
    const { rows, columns } = sram.array;
    const codes: number[] = [];
    for (let seed = 0; seed < 40; seed++) {
      const tile = new Tile(only({ ...faults, skipsEmptyPlanes: true }), seed);
      tile.program(new Int8Array(rows * columns).fill(1), rows, columns, fresh);
      tile.setRange(new Uint32Array(columns).fill(q16(step)), once);
      const sums = new Int32Array(columns);
      tile.multiply(
        Uint8Array.from({ length: rows }, (_, row) => (row < 32 ? 1 : 0)),
        sums,
      );
      codes.push(...sums);
    }
    // Each sum is 1, 2 and 4 times three planes; only the first has cells.
    const planes = what === "gain" ? 1 : Math.hypot(1, 2, 4);
    near(moments(codes).sigma, expected * planes, 0.06, "sigma");
  });
}

test("an empty plane is converted, offset and all, or skipped", () => {
  const { rows, columns } = sram.array;
  for (const [skipsEmptyPlanes, expected] of [
    [true, 0],
    [false, 255 * 7 * 3],
  ] as const) {
    const tile = new Tile(only({ offsetLsb: 3, skipsEmptyPlanes }), 1);
    tile.program(new Int8Array(rows * columns).fill(1), rows, columns, fresh);
    const sums = new Int32Array(columns);
    tile.multiply(new Uint8Array(rows), sums);
    const { sigma } = moments(sums);
    if (expected === 0) assert.is(sigma, 0);
    else near(sigma, 255 * 3 * Math.hypot(1, 2, 4), 0.25, "sigma of 64 columns");
  }
});

test("heat lowers the gain, moves offsets apart and makes more noise", () => {
  const { rows, columns } = sram.array;
  const at = (temperatureC: number): { mean: number; sigma: number } => {
    const tile = new Tile({ ...only({ bits: 12 }), temperature: sram.temperature }, 1);
    tile.program(new Int8Array(rows * columns).fill(7), rows, columns, { ageSeconds: 0, temperatureC });
    tile.setRange(new Uint32Array(columns).fill(q16(0.1)), once);
    const sums = new Int32Array(columns);
    tile.multiply(new Uint8Array(rows).fill(255), sums);
    return moments(sums);
  };
  near(at(75).mean / at(25).mean, 1 - 50 * 0.001, 0.005, "gain at 75 C");
  assert.is(at(25).sigma, 0);
  assert.ok(at(75).sigma > 0);
});

/** Computed once; the firmware gives the same (firmware.test.ts). Other numbers would be another chip to every host. */
const golden = JSON.parse(readFileSync("test/vectors/physics.json", "utf8")) as {
  readonly normals: number[];
  readonly log2: [number, number][];
  readonly exp2Negative: [number, number][];
  readonly products: { readonly seed: number; readonly crc: number }[];
};

test("golden: the whole-number arithmetic, and what it stands for", () => {
  const normal = normals(1);
  assert.equal(
    golden.normals.map(() => normal()),
    golden.normals,
  );
  for (const [value, expected] of golden.log2) {
    assert.is(log2(value), expected);
    assert.ok(Math.abs(expected / 65536 - Math.log2(value)) < 2e-4, `log2(${value})`);
  }
  for (const [x, expected] of golden.exp2Negative) {
    assert.is(exp2Negative(x), expected);
    assert.ok(Math.abs(expected / 65536 - 2 ** (-x / 65536)) < 2e-4, `2^-${x / 65536}`);
  }
});

test("golden: products of whole tiles", () => {
  for (const { seed, crc } of golden.products) {
    const { tile, vectors } = programmed(sram, seed);
    const sums = new Int32Array(20 * sram.array.columns);
    tile.multiply(vectors, sums);
    assert.is(crc32(new Uint8Array(sums.buffer)), crc, `seed ${seed}`);
  }
});

test("the fast kernel gives the reference's numbers: any shape, any plan of reads, any range", () => {
  for (const [rows, columns, weightBits, bits] of [
    [64, 64, 4, 6],
    [64, 64, 8, 6],
    [1, 1, 2, 2],
    [27, 10, 4, 6],
    [50, 13, 3, 8],
    [255, 33, 4, 8],
  ] as const) {
    const array = { ...sram.array, rows, columns, weightBits };
    const skipsEmptyPlanes = columns % 2 === 0;
    const profile = { ...sram, array, converter: { ...sram.converter, bits, skipsEmptyPlanes } };
    const { tile, vectors } = programmed(profile, rows);
    const next = uniform(rows + columns);
    const steps = Uint32Array.from({ length: columns }, () => 65536 * (0.1 + 3 * next()));
    const reads = Uint8Array.from({ length: 8 * planeCount(array) }, (_, i) => {
      const most = Math.floor(i / 8) + (i % 8);
      const finer = Math.floor(Math.min(7, most + 1) * next());
      return finer | (Math.floor(Math.min(3, most - finer + 1) * next()) << 4);
    });
    tile.setRange(steps, reads);
    vectors.fill(0, 0, rows);
    const readout = tile.readout();
    assert.ok(suitsWasm(readout));
    const [fast, slow] = [bindWasm, bindReference].map((bind) => {
      const read = bind({ ...readout, noise: readout.noise.slice() });
      return [1, 2].map(() => {
        const totals = new Int32Array(20 * columns);
        return { saturated: read(vectors, totals), totals };
      });
    });
    assert.equal(fast, slow, `${rows} x ${columns}`);
    assert.not.equal(fast[0].totals, fast[1].totals, "the noise goes on");
  }
});

test("sums that could overflow 16 bits are left to the reference", () => {
  const { tile } = programmed({ ...ideal, converter: sram.converter }, 1);
  assert.not.ok(suitsWasm(tile.readout()));
});

test("a tile gives the same numbers for the same seed, and others for another", () => {
  const run = (seed: number): Int32Array => {
    const { tile, vectors } = programmed(sram, seed);
    const sums = new Int32Array(20 * 64);
    tile.multiply(vectors, sums);
    return sums;
  };
  assert.equal(run(1), run(1));
  assert.not.equal(run(1), run(2));
});

test.run();
