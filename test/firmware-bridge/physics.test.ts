import { readFileSync } from "node:fs";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { AcceleratorProfile } from "../../device-profiles/accelerator.ts";
import { loadAcceleratorProfile } from "../../device-profiles/profiles.ts";
import { exp2Negative, log2, normals, q16 } from "../../firmware-bridge/emulator/fixed.ts";
import { bindReference } from "../../firmware-bridge/emulator/readout-reference.ts";
import { bindWasm, suitsWasm } from "../../firmware-bridge/emulator/readout-wasm.ts";
import { Tile } from "../../firmware-bridge/emulator/tile.ts";
import { crc32 } from "../../firmware-bridge/protocol/crc.ts";
import { cellTarget, maxLevel, planeCount } from "../../firmware-bridge/tiles/planes.ts";
import { uniform } from "../../runtime/base/random.ts";
import { moments, near } from "../support/statistics.ts";

const test = suite("physics");
const [ideal, sram] = await Promise.all(["ideal", "sram-bitplane-64x64"].map(loadAcceleratorProfile));
const fresh = { ageSeconds: 0, temperatureC: 25 };

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
  const none = {
    bits: 8,
    gainSigma: 0,
    offsetLsb: 0,
    noiseLsb: 0,
    skipsEmptyPlanes: false,
    reads: 1,
    accumulatorBits: 32,
  };
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

// aihwkit, src/aihwkit/inference/noise/reram.py, evaluated by hand at g / gMax = 0, 0.5 and 1

test.run();
