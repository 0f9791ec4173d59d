import { suite } from "uvu";
import * as assert from "uvu/assert";
import { loadAcceleratorProfile } from "../../device-profiles/profiles.ts";
import { AcceleratorUnit } from "../../firmware-bridge/tiles/accelerator.ts";
import { isFailure } from "../../runtime/base/failure.ts";
import { type Bench, bench, codes, layerOf, same } from "../support/accelerator-bench.ts";

/** What becomes of a unit's tiles when its link fails, its device restarts, or somebody else has been there. */
const test = suite("accelerator-link");
const ideal = await loadAcceleratorProfile("ideal");
const sram = await loadAcceleratorProfile("sram-bitplane-64x64");

test("a restart in the middle of a batch: tiles are programmed again, and the answer is right", async () => {
  const { clock, session, device, line } = await bench(ideal);
  const unit = await clock.until(AcceleratorUnit.place(session, ideal, [layerOf("a", 200, 100)]));
  const inputs = codes(200, 300, 2);
  const expected = await clock.until(unit.multiply("a", inputs, 300));
  const work = unit.multiply("a", inputs, 300);
  await clock.settle(3);
  line().write(device.restart());
  same(await clock.until(work), expected);
  assert.equal([...unit.layers], ["a"]);
  await session.close();
});

test("products asked for at the same time survive a restart together", async () => {
  const { clock, session, device, line } = await bench(ideal);
  const unit = await clock.until(
    AcceleratorUnit.place(session, ideal, [layerOf("a", 200, 100), layerOf("b", 50, 100)]),
  );
  const ask = (): Promise<Float32Array[]> =>
    Promise.all([unit.multiply("a", codes(200, 100, 2), 100), unit.multiply("b", codes(50, 100, 2), 100)]);
  const expected = await clock.until(ask());
  const work = ask();
  await clock.settle(3);
  line().write(device.restart());
  const got = await clock.until(work);
  got.forEach((products, i) => {
    same(products, expected[i]);
  });
  await session.close();
});

test("unplugged: no layer is usable until recover(); then products go on as if nothing had happened", async () => {
  const run = async (pulls: boolean): Promise<Float32Array[]> => {
    const { clock, session, line } = await bench(sram);
    const unit = await clock.until(AcceleratorUnit.place(session, sram, [layerOf("a", 64, 64)]));
    const ask = (): Promise<Float32Array> => clock.until(unit.multiply("a", codes(64, 20, 2), 20));
    const before = await ask();
    if (pulls) {
      await line().close();
      await clock.settle();
      assert.is(unit.layers.size, 0);
      const error = await ask().catch((reason: unknown) => reason);
      assert.ok(isFailure(error, "bridge/disconnected"));
      await clock.until(unit.recover());
    }
    const products = [before, await ask()];
    await session.close();
    return products;
  };
  const [pulled, left] = [await run(true), await run(false)];
  pulled.forEach((products, i) => {
    same(products, left[i]);
  });
});

/** What may have happened to the tiles of a device whose cable was pulled: `fresh`, they have to be programmed. */
const meanwhile: Readonly<Record<string, { fresh: boolean; happens(bench: Bench, unit: AcceleratorUnit): unknown }>> = {
  "nothing but time": { fresh: false, happens: ({ device }) => device.chip.age(3600) },
  "a restart that was made good": {
    fresh: false,
    async happens({ clock, device, line }, unit) {
      line().write(device.restart());
      await clock.until(unit.multiply("a", codes(66, 1, 2), 1));
    },
  },
  "a restart": { fresh: true, happens: ({ device }) => device.restart() },
  "another host's levels": { fresh: true, happens: ({ device }) => device.chip.commit(1, 5, 5) },
  "the same levels, programmed again": { fresh: true, happens: ({ device }) => device.chip.commit(0, 33, 10) },
  "another host's converters": {
    fresh: true,
    happens: ({ device }) => device.chip.setRange(0, new Uint8Array(40).fill(1), new Uint8Array(24)),
  },
  "a trim that ended midway": { fresh: true, happens: (bench, unit) => halfway(bench, unit.trim()) },
  "a programming that ended midway": { fresh: true, happens: (bench, unit) => halfway(bench, unit.reprogram()) },
};

async function halfway({ clock, device, line }: Bench, work: Promise<void>): Promise<void> {
  const before = device.chip.status().revision;
  while (device.chip.status().revision === before) await clock.settle(1);
  await line().close();
  await clock.until(work.catch(() => undefined));
}

for (const [what, { fresh, happens }] of Object.entries(meanwhile)) {
  test(`recover() after ${what}: tiles are ${fresh ? "programmed again" : "kept"}`, async () => {
    const found = await bench(sram);
    const { clock, device, session, line } = found;
    const unit = await clock.until(AcceleratorUnit.place(session, sram, [layerOf("a", 66, 10)]));
    await happens(found, unit);
    if (session.connected) await line().close();
    await clock.settle();
    const { revision } = device.chip.status();
    await clock.until(unit.recover());
    assert.is(device.chip.status().revision, what === "a restart" ? 4 : revision + (fresh ? 4 : 0));
    assert.equal([...unit.layers], ["a"]);
    await session.close();
  });
}

test("tiles that corrections were refitted to are not replaced by fresh ones behind their back", async () => {
  const { clock, device, session, line } = await bench(sram);
  const unit = await clock.until(AcceleratorUnit.place(session, sram, [layerOf("a", 66, 10)]));
  device.chip.age(30 * 86_400);
  unit.refit();
  await line().close();
  await clock.until(unit.recover());
  assert.equal([...unit.layers], ["a"], "a pulled cable changes no cell");
  line().write(device.restart());
  await clock.settle();
  const error = await clock.until(unit.multiply("a", codes(66, 1, 2), 1)).catch((reason: unknown) => reason);
  assert.ok(isFailure(error), String(error));
  await clock.until(unit.recover());
  assert.equal([unit.layers.size, session.connected, device.chip.status().tilesCommitted], [0, true, 0]);
  await clock.until(unit.reprogram());
  assert.equal([...unit.layers], ["a"]);
  await session.close();
});

test.run();
