import * as fc from "fast-check";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { AcceleratorProfile } from "../../device-profiles/accelerator.ts";
import { loadAcceleratorProfile, parseAcceleratorProfile, readProfile } from "../../device-profiles/profiles.ts";
import { Tile } from "../../firmware-bridge/emulator/tile.ts";
import { AcceleratorUnit, type LayerAccumulation } from "../../firmware-bridge/tiles/accelerator.ts";
import { bitsNeeded, heldRange, heldStrength } from "../../firmware-bridge/tiles/accumulator.ts";
import { type Block, mapLayers, typicalOf } from "../../firmware-bridge/tiles/mapping.ts";
import { chooseRange, type Range } from "../../firmware-bridge/tiles/ranges.ts";
import { isFailure } from "../../runtime/base/failure.ts";
import { gaussian } from "../../runtime/base/random.ts";
import type { UnitLayer } from "../../runtime/plan/unit.ts";
import { product } from "../../runtime/tensor/products.ts";
import { bench, codes, layerOf } from "../support/accelerator-bench.ts";

const test = suite("accumulator");
const ideal = await loadAcceleratorProfile("ideal");
const sram = await loadAcceleratorProfile("sram-bitplane-64x64");
const sram8 = await loadAcceleratorProfile("sram-bitplane-64x64-8bit");

function narrowed(profile: AcceleratorProfile, accumulatorBits: number, tiles = 1024): AcceleratorProfile {
  return { ...profile, array: { ...profile.array, tiles }, converter: { ...profile.converter, accumulatorBits } };
}

function randomLayer(rows: number, columns: number, seed: number): UnitLayer {
  const normal = gaussian(seed);
  const weights = Float32Array.from({ length: rows * columns }, () => 0.1 * normal() + 0.02);
  return { name: "a", rows, columns, positions: 1, weights, typicalInputs: codes(rows, 20, seed) };
}

/** For each column the largest codes where its levels are positive, and then where they are negative. */
function extremes(weights: ArrayLike<number>, rows: number, columns: number): Uint8Array {
  return Uint8Array.from({ length: 2 * columns * rows }, (_, i) => {
    const [vector, row] = [Math.floor(i / rows), i % rows];
    const weight = weights[row * columns + (vector >> 1)];
    return (vector % 2 === 0 ? weight > 0 : weight < 0) ? 255 : 0;
  });
}

test("exact sums: never a wrong one, however narrow the accumulator is; refused where not even one row fits", async () => {
  const seen = { whole: 0, split: 0, refused: 0 };
  const shape = fc.record({
    rows: fc.integer({ min: 1, max: 96 }),
    columns: fc.integer({ min: 1, max: 6 }),
    weightBits: fc.integer({ min: 2, max: 8 }),
    accumulatorBits: fc.integer({ min: 9, max: 20 }),
    seed: fc.integer({ min: 1, max: 1e6 }),
  });
  await fc.assert(
    fc.asyncProperty(shape, async ({ rows, columns, weightBits, accumulatorBits, seed }) => {
      const given = { ...ideal, array: { ...ideal.array, rows: 64, weightBits } };
      const profile = narrowed(given, accumulatorBits);
      const { clock, session } = await bench(profile);
      const layer = randomLayer(rows, columns, seed);
      try {
        const unit = await clock.until(AcceleratorUnit.place(session, profile, [layer]));
        const nominal = await unit.nominal("a");
        const inputs = extremes(nominal, rows, columns);
        const got = await clock.until(unit.multiply("a", inputs, 2 * columns));
        const meant = product(inputs, nominal, 2 * columns, rows, columns);
        const largest = meant.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
        assert.ok(meant.every((value, i) => Math.abs(got[i] - value) <= 1e-5 * largest));
        const [{ segments, wholeSegments, bits }] = unit.accumulation;
        assert.ok(bits <= accumulatorBits);
        seen[segments > wholeSegments ? "split" : "whole"]++;
      } catch (error) {
        if (!isFailure(error, "plan/does-not-fit")) throw error;
        assert.ok(255 * (2 ** (weightBits - 1) - 1) >= 2 ** (accumulatorBits - 1), "a row's own product is too large");
        seen.refused++;
      } finally {
        await session.close();
      }
    }),
    { numRuns: 60, seed: 1 },
  );
  assert.ok(seen.whole > 5 && seen.split > 5 && seen.refused > 0, JSON.stringify(seen));
});

/** What the tile answers with an accumulator of so many bits. */
function sumsOf(profile: AcceleratorProfile, block: Block, { steps, reads }: Range, vectors: Uint8Array): Int32Array {
  const tile = new Tile(profile, 3);
  tile.program(block.levels, block.rows, block.columns, { ageSeconds: 0, temperatureC: -55 });
  tile.setRange(
    Uint32Array.from(steps, (step) => Math.round(65536 * step)),
    reads,
  );
  const sums = new Int32Array((vectors.length / block.rows) * block.columns);
  tile.multiply(vectors, sums);
  return sums;
}

for (const given of [sram, sram8]) {
  test(`${given.name}: as many bits as are proved to suffice give the sums of 32, and a few less do not`, () => {
    for (const rows of [1, 3, 16, 64]) {
      const layer = layerOf("a", rows, 24);
      const [{ blocks }] = mapLayers([layer], given.array);
      const [block] = blocks;
      const range = chooseRange(given, block, typicalOf(layer, block));
      const needed = bitsNeeded(given, block, range);
      const inputs = extremes(block.levels, rows, 24);
      const whole = sumsOf(given, block, range, inputs);
      assert.equal(sumsOf(narrowed(given, needed), block, range, inputs), whole);
      const wrapped = sumsOf(narrowed(given, needed - 3), block, range, inputs);
      assert.ok(
        wrapped.some((sum, i) => sum !== whole[i]),
        `${needed} bits are far too many for ${rows} rows`,
      );
    }
  });

  test(`${given.name}: steps become as coarse as a narrow accumulator asks for, before and after drift`, () => {
    const layer = layerOf("a", 16, 24);
    const [{ blocks }] = mapLayers([layer], given.array);
    const [block] = blocks;
    const fresh = chooseRange(given, block, typicalOf(layer, block));
    const profile = narrowed(given, bitsNeeded(given, block, fresh) - 1);
    const held = heldRange(profile, block, fresh);
    assert.ok(
      held.steps.every((step, j) => step >= fresh.steps[j]) && held.steps.some((step, j) => step > fresh.steps[j]),
    );
    const shrunk = (share: number): Range => ({ ...held, steps: held.steps.map((step) => share * step) });
    const strength = heldStrength(profile, block, held, 0.3);
    assert.ok(strength > 0.3 && strength <= 1, String(strength));
    const inputs = extremes(block.levels, 16, 24);
    for (const range of [held, shrunk(strength)]) {
      assert.equal(sumsOf(profile, block, range, inputs), sumsOf(given, block, range, inputs));
    }
    assert.is(heldStrength(given, block, held, 0.3), 0.3, "32 bits hold any signal");
  });
}

test("converters whose codes do not fit are given fewer rows, and steps no coarser than whole tiles have", async () => {
  const placed = async (accumulatorBits: number): Promise<LayerAccumulation> => {
    const profile = narrowed(sram, accumulatorBits);
    const { clock, session } = await bench(profile);
    const { accumulation } = await clock.until(AcceleratorUnit.place(session, profile, [layerOf("a", 64, 16)]));
    await session.close();
    return accumulation[0];
  };
  assert.is((await placed(32)).segments, 1);
  const { segments, wholeSegments, bits } = await placed(16);
  assert.ok(segments > wholeSegments && bits <= 16, `${segments} segments, ${bits} bits`);
});

test("a profile with converters wider than its accumulator is refused, one without a width has 32 bits", async () => {
  const given = JSON.parse(await readProfile("sram-bitplane-64x64"));
  const { accumulatorBits: _, ...converter } = given.converter;
  const text = (bits?: number): string =>
    JSON.stringify({ ...given, converter: { ...converter, ...(bits && { accumulatorBits: bits }) } });
  assert.is(parseAcceleratorProfile(text(), "a.json").converter.accumulatorBits, 32);
  assert.throws(() => parseAcceleratorProfile(text(9), "a.json"), /accumulatorBits: expected at least 10/);
});

test.run();
