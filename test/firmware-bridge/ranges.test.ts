import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { AcceleratorProfile, ConverterProfile } from "../../device-profiles/accelerator.ts";
import { loadAcceleratorProfile } from "../../device-profiles/profiles.ts";
import { Tile } from "../../firmware-bridge/emulator/tile.ts";
import { type Block, mapLayers } from "../../firmware-bridge/tiles/mapping.ts";
import { offsetsOf } from "../../firmware-bridge/tiles/offsets.ts";
import { usedBits } from "../../firmware-bridge/tiles/planes.ts";
import { add, type Resident, resident, strengthOf } from "../../firmware-bridge/tiles/resident.ts";
import { gaussian, uniform } from "../../runtime/base/random.ts";
import { center, columnMeans } from "../../runtime/tensor/linear.ts";
import { secondMoment } from "../../runtime/tensor/products.ts";

const test = suite("ranges");
const sram = await loadAcceleratorProfile("sram-bitplane-64x64");
const ROWS = 64;
const COLUMNS = 16;
const COUNT = 256;

/** What a relu leaves; half of the vectors are faint, so that they leave the upper input planes empty. */
function codes(seed: number): Uint8Array {
  const normal = gaussian(seed);
  const next = uniform(seed);
  return Uint8Array.from({ length: COUNT }, () => (next() < 0.5 ? 8 : 60)).reduce(
    (all, sigma, vector) => {
      for (let row = 0; row < ROWS; row++) all[vector * ROWS + row] = Math.min(255, Math.max(0, sigma * normal()));
      return all;
    },
    new Uint8Array(COUNT * ROWS),
  );
}

function placed(profile: AcceleratorProfile): Resident {
  const normal = gaussian(7);
  const weights = Float32Array.from({ length: ROWS * COLUMNS }, () => 0.1 * normal());
  const layer = { name: "a", rows: ROWS, columns: COLUMNS, positions: 1, weights, typicalInputs: codes(1) };
  return resident(profile, layer, mapLayers([layer], profile.array)[0].blocks[0]);
}

function tileOf(profile: AcceleratorProfile, { block, range }: Resident): Tile {
  const tile = new Tile(profile, 3);
  tile.program(block.levels, ROWS, COLUMNS, { ageSeconds: 0, temperatureC: 25 });
  tile.setRange(
    Uint32Array.from(range.steps, (step) => 65536 * step),
    range.reads,
  );
  return tile;
}

function sumsOf(tile: Tile, vectors: Uint8Array): Int32Array {
  const sums = new Int32Array(COUNT * COLUMNS);
  tile.multiply(vectors, sums);
  return sums;
}

function meant({ levels, scales }: Block, vectors: Uint8Array): Float64Array {
  return Float64Array.from({ length: COUNT * COLUMNS }, (_, i) => {
    const [vector, column] = [Math.floor(i / COLUMNS), i % COLUMNS];
    let sum = 0;
    for (let row = 0; row < ROWS; row++) sum += vectors[vector * ROWS + row] * levels[row * COLUMNS + column];
    return sum * scales[column];
  });
}

/** RMS of the difference after each column's own offset, over the RMS of what is meant. */
function error(got: Float32Array, expected: Float64Array): number {
  const left = Float64Array.from(got, (value, i) => value - expected[i]);
  center(left, columnMeans(left, COUNT, COLUMNS));
  const squares = (values: Float64Array): number => values.reduce((sum, value) => sum + value * value, 0);
  return Math.sqrt(squares(left) / squares(expected));
}

function answered(profile: AcceleratorProfile, one: Resident, vectors: Uint8Array): Float32Array {
  const products = new Float32Array(COUNT * COLUMNS);
  add(products, COLUMNS, one, { sums: sumsOf(tileOf(profile, one), vectors), bits: usedBits(vectors, ROWS) });
  return products;
}

const exactCells = (converter: Partial<ConverterProfile>): AcceleratorProfile => ({
  ...sram,
  cells: { model: "ideal" },
  converter: { ...sram.converter, gainSigma: 0, offsetLsb: 0, noiseLsb: 0, ...converter },
});

test("finer steps for planes with small sums cost less than one step for all", () => {
  const profile = exactCells({ noiseLsb: 0.3 });
  const one = placed(profile);
  const vectors = codes(2);
  const planned = error(answered(profile, one, vectors), meant(one.block, vectors));
  one.range = { ...one.range, reads: new Uint8Array(one.range.reads.length) };
  const plain = error(answered(profile, one, vectors), meant(one.block, vectors));
  assert.ok(planned < 0.9 * plain, `${planned} with the plan, ${plain} without`);
});

test("repeated reads of what matters most lower the noise, within the conversions allowed for", () => {
  const errors = [1, 2, 4].map((reads) => {
    const profile = exactCells({ noiseLsb: 1, reads });
    const one = placed(profile);
    const conversions = one.range.reads.reduce((sum, plan) => sum + 2 ** (plan >> 4), 0);
    assert.ok(conversions <= reads * one.range.reads.length, `${conversions} conversions`);
    const vectors = codes(2);
    return error(answered(profile, one, vectors), meant(one.block, vectors));
  });
  assert.ok(errors[1] < 0.75 * errors[0] && errors[2] < 0.75 * errors[1], errors.join(", "));
});

test("offsets of input planes that only some vectors use are estimated and taken away", () => {
  const profile = { ...sram, converter: { ...sram.converter, offsetLsb: 2 } };
  const one = placed(profile);
  const vectors = codes(2);
  const before = error(answered(profile, one, vectors), meant(one.block, vectors));
  const sums = sumsOf(tileOf(profile, one), one.typical);
  one.offsets = offsetsOf(profile, one, sums, strengthOf(one, sums));
  const after = error(answered(profile, one, vectors), meant(one.block, vectors));
  assert.ok(after < 0.7 * before, `${after} with the offsets known, ${before} without`);
});

test("no offsets are looked for where every plane is converted: they are a bias", () => {
  const profile = { ...sram, converter: { ...sram.converter, skipsEmptyPlanes: false } };
  const one = placed(profile);
  const sums = sumsOf(tileOf(profile, one), one.typical);
  assert.ok(offsetsOf(profile, one, sums, 1).every((offset) => offset === 0));
});

test("levels are rounded so that errors cancel on typical inputs", () => {
  const normal = gaussian(5);
  const weights = Float32Array.from({ length: ROWS * COLUMNS }, () => normal());
  // Rows go in pairs, so their inputs are alike.
  const inputs = new Uint8Array(COUNT * ROWS);
  const jitter = uniform(9);
  for (let i = 0; i < inputs.length; i += 2) inputs[i] = inputs[i + 1] = 80 + 90 * jitter();
  const centered = Float32Array.from(inputs);
  center(centered, columnMeans(centered, COUNT, ROWS));
  const layer = { name: "a", rows: ROWS, columns: COLUMNS, positions: 1, weights, typicalInputs: inputs };
  const [nearest, chosen] = [layer, { ...layer, moments: secondMoment(centered, COUNT, ROWS) }].map((given) => {
    const [{ blocks }] = mapLayers([given], sram.array);
    const exact = Float32Array.from(meant(blocks[0], inputs));
    const wanted = Float64Array.from({ length: COUNT * COLUMNS }, (_, i) => {
      let sum = 0;
      for (let row = 0; row < ROWS; row++) {
        sum += inputs[Math.floor(i / COLUMNS) * ROWS + row] * weights[row * COLUMNS + (i % COLUMNS)];
      }
      return sum;
    });
    return error(exact, wanted);
  });
  assert.ok(chosen < 0.8 * nearest, `${chosen} against ${nearest}`);
});

test.run();
