import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { AcceleratorProfile, SramCells } from "../../device-profiles/accelerator.ts";
import { loadAcceleratorProfile } from "../../device-profiles/profiles.ts";
import { EmulatedDevice } from "../../firmware-bridge/emulator/device.ts";
import { seedOf } from "../../firmware-bridge/emulator/physics.ts";
import { sramCells } from "../../firmware-bridge/emulator/sram.ts";
import { Session } from "../../firmware-bridge/session.ts";
import { AcceleratorUnit } from "../../firmware-bridge/tiles/accelerator.ts";
import { type Block, mapLayers, nominalWeights, roundToCells } from "../../firmware-bridge/tiles/mapping.ts";
import { planeCount } from "../../firmware-bridge/tiles/planes.ts";
import { readCells, readsBack } from "../../firmware-bridge/tiles/read-back.ts";
import { untrimmed } from "../../firmware-bridge/tiles/trim.ts";
import { gaussian } from "../../runtime/base/random.ts";
import type { UnitLayer } from "../../runtime/plan/unit.ts";
import { center, columnMeans } from "../../runtime/tensor/linear.ts";
import { product } from "../../runtime/tensor/products.ts";
import { lineTo } from "../support/line.ts";
import { ManualClock } from "../support/manual-clock.ts";

const test = suite("read-back");
const [bits4, bits8, pcm] = await Promise.all(
  ["sram-bitplane-64x64", "sram-bitplane-64x64-8bit", "pcm-256x256"].map(loadAcceleratorProfile),
);
const ROWS = 40;
const COLUMNS = 24;
const VECTORS = 150;

const normal = gaussian(5);
const codes = Uint8Array.from({ length: ROWS * VECTORS }, () => Math.min(255, Math.max(0, 60 * normal())));
const layer: UnitLayer = {
  name: "a",
  rows: ROWS,
  columns: COLUMNS,
  positions: 10,
  weights: Float32Array.from({ length: ROWS * COLUMNS }, () => 0.1 * normal()),
  typicalInputs: codes,
};

interface Bench {
  readonly clock: ManualClock;
  readonly device: EmulatedDevice;
  readonly session: Session;
}

async function sessionWith(profile: AcceleratorProfile): Promise<Bench> {
  const clock = new ManualClock();
  const device = new EmulatedDevice(profile, { seed: 1, bootId: 1 });
  const { connect } = lineTo(device, { seed: 0 });
  const session = new Session(connect, { clock });
  await clock.until(session.reconnect());
  return { clock, device, session };
}

const rms = (values: readonly number[]): number =>
  Math.sqrt(values.reduce((sum, value) => sum + value * value, 0) / values.length);

for (const given of [bits4, bits8]) {
  test(`${given.name}: what a cell conducts is read to within 3 % of a cell`, async () => {
    const profile = { ...given, converter: { ...given.converter, gainSigma: 0 } };
    const { array } = profile;
    const { clock, session } = await sessionWith(profile);
    const [{ blocks }] = mapLayers([layer], array);
    const [block] = blocks;
    const { cells: read } = await clock.until(readCells(session, profile, block));
    const all = new Float32Array(array.rows * planeCount(array) * array.columns).fill(1);
    const chip = sramCells(profile, profile.cells as SramCells, seedOf(seedOf(1, block.tile), 1));
    const conducts = chip.conductances(all, 1, { ageSeconds: 0, temperatureC: 25 });
    for (let plane = 1; plane < planeCount(array); plane++) {
      const differences = Array.from({ length: ROWS * COLUMNS }, (_, i) => {
        const [row, column] = [Math.floor(i / COLUMNS), i % COLUMNS];
        const conducted = conducts[(row * planeCount(array) + plane) * array.columns + column];
        return read[plane * ROWS * COLUMNS + i] - conducted;
      });
      assert.ok(rms(differences) < 0.03, `plane ${plane}: ${rms(differences)}`);
    }
    await session.close();
  });
}

test("levels chosen for cells that differ by 10 % give back most of what that costs", () => {
  const errorOf = (blocks: readonly Block[], worthOf: (block: Block, at: number) => number): number => {
    const held = blocks.map((block) => ({
      block,
      worth: Float32Array.from(block.levels, (_, at) => worthOf(block, at)),
      trim: untrimmed(block.columns),
    }));
    const weights = nominalWeights(layer, held);
    return rms([...weights].map((weight, i) => weight - layer.weights[i]));
  };
  for (const { array } of [bits4, bits8]) {
    const [placement] = mapLayers([layer], array);
    const planes = planeCount(array);
    const differ = gaussian(9);
    const cells = new Map(
      placement.blocks.map((block) => [
        block,
        Float32Array.from({ length: planes * block.levels.length }, () => 1 + 0.1 * differ()),
      ]),
    );
    const conducted = (block: Block, at: number): number => {
      let sum = 0;
      for (let plane = 0; plane < planes; plane++) {
        const on = (Math.abs(block.levels[at]) >> plane) & 1;
        sum += on * 2 ** plane * (cells.get(block)?.[plane * block.levels.length + at] ?? 0);
      }
      return Math.sign(block.levels[at]) * sum;
    };
    const alike = errorOf(placement.blocks, (block, at) => block.levels[at]);
    const unaware = errorOf(placement.blocks, conducted);
    roundToCells(placement, (block) => cells.get(block), planes);
    const aware = errorOf(placement.blocks, conducted);
    const figures = `${alike} if they were alike, ${unaware} when they differ, ${aware} rounded to them`;
    assert.ok(aware ** 2 - alike ** 2 < 0.5 * (unaware ** 2 - alike ** 2), figures);
    for (const block of placement.blocks) {
      block.worth.forEach((worth, at) => {
        const same = Math.sign(worth) === Math.sign(conducted(block, at)) || worth === 0;
        assert.ok(same, `worth ${worth} of level ${block.levels[at]}`);
      });
    }
  }
});

/** |answers - what the weights answer| / |what the weights answer|, but for a constant of each column. */
function errorTo(weights: Float32Array, answers: Float32Array): number {
  const meant = product(codes, weights, VECTORS, ROWS, COLUMNS);
  const error = Float64Array.from(answers, (answer, i) => answer - meant[i]);
  center(error, columnMeans(error, VECTORS, COLUMNS));
  return rms([...error]) / rms([...meant]);
}

test("a layer on 8-bit cells that were read answers with less than two thirds of the error", async () => {
  if (bits8.cells.model !== "sram") throw new Error("another model");
  const unread = { ...bits8, cells: { ...bits8.cells, sigma: 0 } };
  const errors = [];
  for (const known of [unread, bits8]) {
    const { clock, session } = await sessionWith(bits8);
    const unit = await clock.until(AcceleratorUnit.place(session, known, [layer]));
    errors.push(errorTo(layer.weights, await clock.until(unit.multiply("a", codes, VECTORS))));
    await session.close();
  }
  assert.ok(errors[1] < 0.67 * errors[0], String(errors));
});

test("after a year the weights are known again without a sample, and after programming they are as before", async () => {
  const { clock, session, device } = await sessionWith(bits8);
  const unit = await clock.until(AcceleratorUnit.place(session, bits8, [layer]));
  const answered = (): Promise<Float32Array> => clock.until(unit.multiply("a", codes, VECTORS));
  const fresh = await unit.nominal("a");
  device.chip.age(31_557_600);
  const off = (answers: Float32Array): number => {
    const meant = product(codes, fresh, VECTORS, ROWS, COLUMNS);
    return rms([...meant].map((value, i) => answers[i] - value)) / rms([...meant]);
  };
  const drifted = off(await answered());
  await clock.until(unit.trim());
  const [old, answers] = [await unit.nominal("a"), await answered()];
  assert.ok(off(answers) < 0.5 * drifted, `${off(answers)} off when trimmed, ${drifted} before`);
  const [known, stale] = [errorTo(old, answers), errorTo(fresh, answers)];
  assert.ok(known < 0.5 * stale, `${known} from the weights as they are, ${stale} from those programmed`);
  await clock.until(unit.reprogram());
  assert.equal(await unit.nominal("a"), fresh);
  assert.ok(errorTo(fresh, await answered()) < 0.5 * stale);
  await session.close();
});

test("cells that are drawn anew when they are programmed, or that do not differ, are not read", async () => {
  const { session } = await sessionWith(bits4);
  assert.ok(readsBack(bits4, session));
  if (bits4.cells.model !== "sram") throw new Error("another model");
  const others: readonly AcceleratorProfile[] = [
    { ...bits4, cells: { ...bits4.cells, sigma: 0 } },
    { ...bits4, cells: pcm.cells },
    { ...bits4, converter: { ...bits4.converter, bits: 0 } },
  ];
  assert.equal(
    others.map((profile) => readsBack(profile, session)),
    [false, false, false],
  );
  await session.close();
});

test.run();
