import { suite } from "uvu";
import * as assert from "uvu/assert";
import { loadAcceleratorProfile, parseAcceleratorProfile } from "../../device-profiles/profiles.ts";
import { openAccelerator, parseAge } from "../../firmware-bridge/open.ts";
import type { DeviceInfo } from "../../firmware-bridge/session.ts";
import { AcceleratorUnit } from "../../firmware-bridge/tiles/accelerator.ts";
import { checkDevice } from "../../firmware-bridge/tiles/checks.ts";
import { mapLayers, nominalWeights } from "../../firmware-bridge/tiles/mapping.ts";
import { untrimmed } from "../../firmware-bridge/tiles/trim.ts";
import type { LineFaults } from "../../firmware-bridge/transport/pair.ts";
import { isFailure } from "../../runtime/base/failure.ts";
import { bench, codes, layerOf, same, VECTORS } from "../support/accelerator-bench.ts";

const test = suite("accelerator");
const ideal = await loadAcceleratorProfile("ideal");
const sram = await loadAcceleratorProfile("sram-bitplane-64x64");

function product(weights: Float32Array, inputs: Uint8Array, rows: number, columns: number): Float64Array {
  const products = new Float64Array((inputs.length / rows) * columns);
  for (let i = 0; i < products.length; i++) {
    const [vector, column] = [Math.floor(i / columns), i % columns];
    for (let row = 0; row < rows; row++) products[i] += inputs[vector * rows + row] * weights[row * columns + column];
  }
  return products;
}

/** Relative error per column after the best gain and offset: what a column correction leaves. */
function residual(got: Float32Array, expected: Float64Array, columns: number): number {
  let [error, power] = [0, 0];
  for (let column = 0; column < columns; column++) {
    const pick = (values: ArrayLike<number>): number[] => {
      const picked = Array.from({ length: values.length / columns }, (_, i) => values[i * columns + column]);
      const mean = picked.reduce((sum, value) => sum + value, 0) / picked.length;
      return picked.map((value) => value - mean);
    };
    const [g, e] = [pick(got), pick(expected)];
    const gain = g.reduce((sum, v, i) => sum + v * e[i], 0) / g.reduce((sum, v) => sum + v * v, 0);
    error += g.reduce((sum, v, i) => sum + (gain * v - e[i]) ** 2, 0);
    power += e.reduce((sum, v) => sum + v * v, 0);
  }
  return Math.sqrt(error / power);
}

function largestDifference(got: ArrayLike<number>, expected: Float64Array): number {
  const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  return expected.reduce((most, value, i) => Math.max(most, Math.abs(got[i] - value)), 0) / largest;
}

const shapes: [rows: number, columns: number][] = [
  [1, 1],
  [64, 64],
  [65, 64],
  [64, 65],
  [300, 130],
];
for (const [rows, columns] of shapes) {
  test(`ideal ${rows} x ${columns} on tiles of 64 x 64: exact but for the rounding of weights`, async () => {
    const profile = { ...ideal, array: { ...ideal.array, rows: 64, columns: 64 } };
    const { clock, session } = await bench(profile);
    const layer = layerOf("a", rows, columns);
    const unit = await clock.until(AcceleratorUnit.place(session, profile, [layer]));
    assert.is(unit.tilesUsed, Math.ceil(rows / 64) * Math.ceil(columns / 64));
    const inputs = codes(rows, 40, 2);
    const got = await clock.until(unit.multiply("a", inputs, 40));
    const nominal = await unit.nominal("a");
    assert.ok(largestDifference(got, product(nominal, inputs, rows, columns)) < 1e-5, "the nominal product");
    assert.ok(residual(got, product(layer.weights, inputs, rows, columns), columns) < 0.01, "the float product");
    await session.close();
  });
}

test("levels: 8 bits are nearer to the weights than 4, and a column of zeros stays zero", () => {
  const layer = layerOf("a", 64, 8);
  layer.weights.forEach((_, i) => {
    if (i % 8 === 3) layer.weights[i] = 0;
  });
  const errors = [4, 8].map((weightBits) => {
    const [{ blocks }] = mapLayers([layer], { ...sram.array, weightBits });
    const nominal = nominalWeights(
      layer,
      blocks.map((block) => ({ block, worth: block.worth, trim: untrimmed(block.columns) })),
    );
    assert.ok(nominal.every((weight, i) => i % 8 !== 3 || weight === 0));
    return Math.sqrt(nominal.reduce((sum, w, i) => sum + (w - layer.weights[i]) ** 2, 0) / layer.weights.length);
  });
  assert.ok(errors[0] < 0.012 && errors[1] < 0.001, String(errors));
});

test("with few tiles, the layers that save most per byte on the link get them", () => {
  const layers = [layerOf("thin", 64, 4), layerOf("long", 256, 16), layerOf("square", 64, 64)];
  const names = (tiles: number): string[] => mapLayers(layers, { ...sram.array, tiles }).map(({ layer }) => layer.name);
  assert.equal(names(6), ["square", "long", "thin"]);
  assert.equal(names(2), ["square", "thin"], "long does not fit any more");
  assert.equal(names(1), ["square"]);
  assert.equal(names(0), []);
});

test("rows are split evenly over tiles", () => {
  const [{ blocks }] = mapLayers([layerOf("a", 65, 1)], sram.array);
  assert.equal(
    blocks.map(({ fromRow, rows }) => [fromRow, rows]),
    [
      [0, 32],
      [32, 33],
    ],
  );
});

test("sram: what a column correction leaves is levels and mismatch, and a month of drift adds to it", async () => {
  const { clock, session } = await bench(sram);
  const layer = layerOf("a", 144, 64);
  const unit = await clock.until(AcceleratorUnit.place(session, sram, [layer]));
  const inputs = codes(144, VECTORS, 2);
  const expected = product(layer.weights, inputs, 144, 64);
  const measure = async (): Promise<number> =>
    residual(await clock.until(unit.multiply("a", inputs, VECTORS)), expected, 64);
  const fresh = await measure();
  assert.ok(fresh > 0.1 && fresh < 0.18, `fresh ${fresh}`);
  await clock.until(
    session.request("environment", { mask: 1, ageSeconds: 2_592_000, temperatureMc: 0, seed: 0, deadColumn: 0 }),
  );
  const drifted = await measure();
  assert.ok(drifted > 1.3 * fresh, `after a month ${drifted}`);
  await clock.until(unit.trim());
  const trimmed = await measure();
  assert.ok(trimmed < drifted, `trimmed ${trimmed}`);
  await clock.until(unit.reprogram());
  assert.ok(Math.abs((await measure()) - fresh) < 0.01, "reprogrammed");
  await session.close();
});

test("sums that do not fit in 16 bits come in 32", async () => {
  const { clock, session } = await bench(ideal);
  const layer = { ...layerOf("a", 256, 16), weights: new Float32Array(256 * 16).fill(0.5) };
  const unit = await clock.until(AcceleratorUnit.place(session, ideal, [layer]));
  const got = await clock.until(unit.multiply("a", new Uint8Array(100 * 256).fill(255), 100));
  assert.ok(got.every((value) => Math.abs(value - 256 * 255 * 0.5) < 0.1));
  await session.close();
});

test("over a bad line the products are the same as over a good one", async () => {
  const run = async (faults: LineFaults): Promise<Float32Array> => {
    const profile = { ...ideal, array: { ...ideal.array, rows: 64, columns: 64 } };
    const { clock, session } = await bench(profile, faults);
    const unit = await clock.until(AcceleratorUnit.place(session, profile, [layerOf("a", 100, 70)]));
    const products = await clock.until(unit.multiply("a", codes(100, 60, 2), 60));
    await session.close();
    return products;
  };
  const bad = { seed: 1, byteErrors: 1e-4, drops: 0.02, duplicates: 0.02, splits: 0.2 };
  same(await run(bad), await run({ seed: 0 }));
});

test("a device that is not what the profile says is refused", async () => {
  const { clock, session } = await bench(ideal);
  const error = await clock.until(AcceleratorUnit.place(session, sram, [])).catch((reason: unknown) => reason);
  assert.ok(isFailure(error, "bridge/wrong-device"));
  assert.match(String(error), /rows 256, 64 was expected for sram-bitplane-64x64/);
  await session.close();
});

test("accumulators may be wider than the profile says, or not be told, but not narrower", async () => {
  const { session } = await bench(sram);
  const saying = (accumulatorBits: number): { device: DeviceInfo } => ({
    device: { ...session.device, accumulatorBits },
  });
  const { uid } = session.device;
  assert.is(session.device.accumulatorBits, sram.converter.accumulatorBits);
  const narrow = { ...sram, converter: { ...sram.converter, accumulatorBits: 20 } };
  for (const bits of [0, 20, 32]) checkDevice(saying(bits), narrow, uid);
  assert.throws(
    () => checkDevice(saying(19), narrow, uid),
    /the device has accumulatorBits 19, 20 was expected for sram-bitplane-64x64/,
  );
  await session.close();
});

test("wrong inputs are named", async () => {
  const { clock, session } = await bench(ideal);
  const unit = await clock.until(AcceleratorUnit.place(session, ideal, [layerOf("a", 20, 20)]));
  const codeOf = async (work: Promise<unknown>): Promise<unknown> =>
    ((await clock.until(work).catch((reason: unknown) => reason)) as { code?: string }).code;
  assert.is(await codeOf(unit.multiply("b", new Uint8Array(20), 1)), "input/missing");
  assert.is(await codeOf(unit.multiply("a", new Uint8Array(19), 1)), "input/shape");
  assert.is(await codeOf(unit.nominal("b")), "input/missing");
  const nan = { ...layerOf("c", 2, 2), weights: new Float32Array(4).fill(Number.NaN) };
  assert.is(await codeOf(AcceleratorUnit.place(session, ideal, [nan])), "input/shape");
  assert.is(
    await codeOf(AcceleratorUnit.place(session, ideal, [{ ...layerOf("c", 2, 2), typicalInputs: new Uint8Array(0) }])),
    "input/shape",
  );
  assert.equal(await clock.until(unit.multiply("a", new Uint8Array(0), 0)), new Float32Array(0));
  await session.close();
});

test("openAccelerator: emulator addresses carry seed, age and temperature", async () => {
  const { session, emulated, profile, place, close } = await openAccelerator(
    "emulator:sram-bitplane-64x64?seed=9&age=30d&temperature=45",
  );
  assert.is(profile.name, "sram-bitplane-64x64");
  const first = await place([layerOf("a", 10, 10)]);
  assert.equal([...first.layers], ["a"]);
  const { ageSeconds, temperatureMc } = await session.request("status", {});
  assert.equal([ageSeconds, temperatureMc, emulated?.chip.environment.seed], [30 * 86400, 45_000, 9]);
  const second = await place([layerOf("b", 10, 10)]);
  assert.equal([first.layers.size, [...second.layers]], [0, ["b"]], "the tiles have changed hands");
  await close();
});

const wrong: [address: string, code: string][] = [
  ["emulator:toaster", "profile/unknown"],
  ["emulator:ideal?seed=x", "input/malformed"],
  ["emulator:ideal?age=yesterday", "input/malformed"],
  ["/dev/ttyUSB0", "input/missing"],
];
for (const [address, code] of wrong) {
  test(`openAccelerator: ${address} is ${code}`, async () => {
    const error = await openAccelerator(address).catch((reason: unknown) => reason);
    assert.is((error as { code?: string }).code, code);
  });
}

test("a profile whose vectors or sums do not fit in a frame is refused", () => {
  const text = JSON.stringify({ ...ideal, link: { ...ideal.link, mtu: 1000 } });
  assert.throws(
    () => parseAcceleratorProfile(text, "x"),
    /link\.mtu: expected at least 1029 for such tiles, found 1000/,
  );
});

test("ages", () => {
  assert.equal(
    ["0", "90", "90s", "2m", "1.5h", "30d", "1w", "1y"].map(parseAge),
    [0, 90, 90, 120, 5400, 2592000, 604800, 31557600],
  );
});

test.run();
