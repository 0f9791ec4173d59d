import * as fc from "fast-check";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { AcceleratorProfile } from "../../device-profiles/accelerator.ts";
import { loadAcceleratorProfile } from "../../device-profiles/profiles.ts";
import { Session } from "../../firmware-bridge/session.ts";
import { AcceleratorUnit } from "../../firmware-bridge/tiles/accelerator.ts";
import { gatedAccelerator } from "../../firmware-bridge/tiles/gated.ts";
import type { PlaneSavings } from "../../firmware-bridge/tiles/products.ts";
import { pair } from "../../firmware-bridge/transport/pair.ts";
import { entry } from "../../runtime/base/entry.ts";
import { isFailure } from "../../runtime/base/failure.ts";
import { gaussian } from "../../runtime/base/random.ts";
import { RELU } from "../../runtime/model/graph.ts";
import { type Gate, safeGate } from "../../runtime/polarize/gate.ts";
import { buildFirmware, missingPrograms } from "../../tools/accelerator/firmware.ts";
import { bench, codes, layerOf, same } from "../support/accelerator-bench.ts";
import { type Board, hostBoard, typescriptBoard } from "../support/boards.ts";

/** Precision Gating on tiles: the low input planes are read where outputs need them. */
const test = suite("gated");
const ideal = await loadAcceleratorProfile("ideal");
const sram = await loadAcceleratorProfile("sram-bitplane-64x64");

const gateOf = (highBits: number, columns: number, needs: (high: number, at: number) => boolean): Gate => ({
  highBits,
  usual: new Float32Array(columns),
  needed: (_, high) => Uint8Array.from(high, (p, at) => Number(needs(p, at))),
});

/** What a layer with these biases lets through. */
const relu = (products: Float32Array, bias: Float32Array): Float32Array =>
  products.map((p, i) => Math.max(0, p + bias[i % bias.length]));

const rms = (a: Float32Array, b: Float32Array): number =>
  Math.sqrt(a.reduce((sum, value, i) => sum + (value - b[i]) ** 2, 0) / a.length);

test("on exact tiles a safe gate changes nothing that a relu lets through, and reads fewer planes", async () => {
  let [planes, skipped] = [0, 0];
  const profile = { ...ideal, array: { ...ideal.array, rows: 24, columns: 8, tiles: 64 } };
  const shapes = fc.record({
    rows: fc.integer({ min: 1, max: 60 }),
    columns: fc.integer({ min: 1, max: 20 }),
    highBits: fc.integer({ min: 1, max: 7 }),
    seed: fc.integer({ min: 1, max: 1e6 }),
  });
  await fc.assert(
    fc.asyncProperty(shapes, async ({ rows, columns, highBits, seed }) => {
      const { clock, session } = await bench(profile, { seed: 0 }, seed);
      const layer = layerOf("a", rows, columns);
      const unit = await clock.until(AcceleratorUnit.place(session, profile, [layer]));
      const normal = gaussian(seed);
      const bias = Float32Array.from({ length: columns }, () => 40 * normal() - 100);
      const node = { op: "dense", name: "a", inputs: ["in"], shape: [1, columns], rows, columns, clamp: RELU } as const;
      const correction = { gain: new Float32Array(columns).fill(1), bias, surrogate: undefined };
      const input = { scale: 1, zeroPoint: 0 };
      const gate = safeGate({ node, input, correction, weights: await unit.nominal("a") }, highBits);
      const gated = gatedAccelerator(unit, new Map([["a", gate]]));
      const inputs = codes(rows, 12, seed);
      const whole = await clock.until(unit.multiply("a", inputs, 12));
      same(relu(await clock.until(gated.unit.multiply("a", inputs, 12)), bias), relu(whole, bias));
      planes += entry(gated.savings, "a").planes;
      skipped += entry(gated.savings, "a").skippedPlanes;
      await session.close();
    }),
    { numRuns: 25, seed: 1 },
  );
  assert.ok(skipped > 0.05 * planes, `${skipped} of ${planes} planes`);
});

test("the sums of high and low planes are those of whole codes: each plane's offset and a trim's shift once", async () => {
  const still = { ...sram, converter: { ...sram.converter, noiseLsb: 0 } };
  const { clock, session, device } = await bench(still);
  const unit = await clock.until(AcceleratorUnit.place(session, still, [layerOf("a", 144, 100)]));
  device.chip.age(86400);
  await clock.until(unit.trim());
  const inputs = codes(144, 30, 2);
  const whole = await clock.until(unit.multiply("a", inputs, 30));
  for (const highBits of [1, 4, 7]) {
    const gated = gatedAccelerator(unit, new Map([["a", gateOf(highBits, 100, () => true)]]));
    same(await clock.until(gated.unit.multiply("a", inputs, 30)), whole);
    const { heldBack, outputs, skippedPlanes } = entry(gated.savings, "a");
    assert.equal([heldBack, outputs, skippedPlanes], [0, 3000, 0]);
  }
  await session.close();
});

test("of noisy tiles the same, within their noise", async () => {
  const { clock, session } = await bench(sram);
  const unit = await clock.until(AcceleratorUnit.place(session, sram, [layerOf("a", 128, 64)]));
  const gated = gatedAccelerator(unit, new Map([["a", gateOf(4, 64, () => true)]]));
  const inputs = codes(128, 100, 2);
  const whole = await clock.until(unit.multiply("a", inputs, 100));
  const noise = rms(await clock.until(unit.multiply("a", inputs, 100)), whole);
  const difference = rms(await clock.until(gated.unit.multiply("a", inputs, 100)), whole);
  assert.ok(noise > 0 && Math.abs(difference / noise - 1) < 0.1, `${difference} against ${noise}`);
  await session.close();
});

test("tiles without an output that needs the low planes are spared them, and get the usual rest", async () => {
  const profile = { ...ideal, array: { ...ideal.array, columns: 50 } };
  const { clock, session } = await bench(profile);
  const unit = await clock.until(AcceleratorUnit.place(session, profile, [layerOf("a", 64, 100)]));
  const usual = 3;
  const gate: Gate = {
    ...gateOf(4, 100, (_, at) => at % 100 === 70 && at >= 500),
    usual: new Float32Array(100).fill(usual),
  };
  const gated = gatedAccelerator(unit, new Map([["a", gate]]));
  const inputs = codes(64, 10, 2);
  const high = inputs.map((code) => code & 0xf0);
  const ask = (vectors: Uint8Array): Promise<Float32Array> => clock.until(unit.multiply("a", vectors, 10));
  const [whole, rough] = [await ask(inputs), await ask(high)];
  const expected = whole.map((p, i) => (i >= 500 && i % 100 >= 50 ? p : rough[i] + usual));
  same(await clock.until(gated.unit.multiply("a", inputs, 10)), expected);
  const { skippedPlanes, outputs, heldBack } = entry(gated.savings, "a");
  assert.equal([skippedPlanes, outputs, heldBack], [4 * 15, 1000, 995]);
  await session.close();
});

test("nothing is gated where empty planes are converted, too", async () => {
  const profile: AcceleratorProfile = { ...sram, converter: { ...sram.converter, skipsEmptyPlanes: false } };
  const { clock, session } = await bench(profile);
  const unit = await clock.until(AcceleratorUnit.place(session, profile, [layerOf("a", 8, 8)]));
  const gated = gatedAccelerator(unit, new Map([["a", gateOf(4, 8, () => false)]]));
  const error = await gated.unit.multiply("a", codes(8, 1, 2), 1).catch((reason: unknown) => reason);
  assert.ok(isFailure(error, "plan/unsupported"));
  await session.close();
});

const missing = missingPrograms("make", "cc");
if (missing) process.stdout.write(`skipped: gates on the C firmware: ${missing}\n`);
else {
  test("the firmware in C answers gated products as the emulator does", async () => {
    const onBoard = async (board: Board): Promise<{ products: Float32Array; saved: PlaneSavings }> => {
      const session = new Session(async () => {
        const [host, end] = pair({ seed: 0 });
        board.plug(end);
        return host;
      });
      await session.reconnect();
      // One tile, and all vectors in one frame: the noise depends on the order of the requests.
      const unit = await AcceleratorUnit.place(session, sram, [layerOf("a", 64, 64)]);
      const gated = gatedAccelerator(unit, new Map([["a", gateOf(4, 64, (p, at) => at % 128 < 64 && p > 0)]]));
      const products = await gated.unit.multiply("a", codes(64, 12, 3), 12);
      await session.close();
      await board.stop();
      return { products, saved: entry(gated.savings, "a") };
    };
    const emulator = await onBoard(typescriptBoard(sram));
    const firmware = await onBoard(hostBoard(buildFirmware("host-sram-bitplane-64x64", ["SANITIZE=1"])));
    same(firmware.products, emulator.products);
    assert.equal(firmware.saved, emulator.saved);
    assert.ok(emulator.saved.skippedPlanes > 0 && emulator.saved.heldBack < emulator.saved.outputs);
  });
}

test.run();
