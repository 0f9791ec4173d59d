import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Leases } from "../../runtime/agent/leases.ts";
import { Failure, isFailure } from "../../runtime/base/failure.ts";
import type { LinkedAccelerator, LinkListener, MatmulUnit } from "../../runtime/plan/unit.ts";
import { fakeRelease } from "../support/jobs.ts";
import { rejection } from "../support/until.ts";
import { World } from "../support/world.ts";

const test = suite("leases");

/** An accelerator whose cable can be pulled. */
class Tiles implements LinkedAccelerator {
  placed = 0;
  refits = 0;
  reprograms = 0;
  plugged = true;
  /** It is another chip than the one that was placed on. */
  exchanged = false;
  #listener: LinkListener = () => {};

  get linked(): boolean {
    return this.plugged;
  }

  listen(listener: LinkListener): void {
    this.#listener = listener;
  }

  pull(): void {
    this.plugged = false;
    this.#listener("lost", "pulled");
  }

  plug(): void {
    this.plugged = true;
    this.#listener("restored", "plugged");
  }

  async place(): Promise<MatmulUnit> {
    if (!this.plugged) throw new Failure("bridge/open", "no such port");
    this.placed++;
    this.exchanged = false;
    const tiles = this;
    return {
      name: "tiles",
      uid: "chip",
      get layers() {
        return new Set(tiles.plugged && !tiles.exchanged ? ["conv"] : []);
      },
      multiply: async () => Float32Array.of(1),
      nominal: async () => Float32Array.of(1),
      refit: () => tiles.refits++,
      reprogram: async () => void tiles.reprograms++,
    };
  }
}

const v1 = fakeRelease({ version: "1" });

async function device(tiles: Tiles): Promise<World> {
  const world = new World();
  world.accelerator = tiles;
  world.offer(v1);
  const leases = new Leases(tiles);
  world.accelerator = leases;
  await world.start({ leases });
  world.desire(v1.job(1));
  assert.is(await world.finish({ seq: 1 }), "COMMITTED");
  return world;
}

const units = (world: World): string[] => world.preparations.map(({ unit }) => unit);

test("placing takes the tiles from the model before", async () => {
  const leases = new Leases(new Tiles());
  const first = await leases.place([]);
  leases.grant("one");
  assert.equal([leases.of("one")?.layers.size, leases.of("two")], [1, undefined]);
  await leases.place([]);
  assert.equal([leases.holds("one"), first.layers.size], [false, 0]);
  assert.ok(isFailure(await rejection(first.multiply("conv", new Uint8Array(), 1)), "bridge/refused"));
  assert.ok(isFailure(await rejection(new Leases(undefined).place([])), "bridge/open"));
});

test("a refit model shares the tiles with the one before, until others are placed", async () => {
  const tiles = new Tiles();
  const leases = new Leases(tiles);
  assert.is(await leases.held(), undefined);
  await leases.place([]);
  leases.grant("one");
  leases.grant("one refitted");
  assert.equal([leases.holds("one"), leases.holds("one refitted")], [true, true]);
  assert.is(await leases.held(), leases.of("one"));
  tiles.pull();
  assert.is(await leases.held(), undefined);
  tiles.plug();
  await leases.place([]);
  assert.equal([leases.holds("one"), leases.holds("one refitted")], [false, false]);
});

test("tiles that are programmed again are taken from the models that were fitted to what they had become", async () => {
  const tiles = new Tiles();
  const leases = new Leases(tiles);
  assert.is(await leases.renewed(), undefined);
  const first = await leases.place([]);
  leases.grant("one");
  const second = await leases.renewed();
  assert.equal([tiles.placed, tiles.reprograms, leases.holds("one"), first.layers.size], [1, 1, false, 0]);
  leases.grant("one as when fresh");
  assert.is(leases.of("one as when fresh"), second);
  assert.equal(await second?.multiply("conv", new Uint8Array(), 1), Float32Array.of(1));
  tiles.pull();
  assert.is(await leases.renewed(), undefined);
});

test("a product that was under way while the tiles changed hands is not trusted", async () => {
  const leases = new Leases(new Tiles());
  const first = await leases.place([]);
  const product = first.multiply("conv", new Uint8Array(), 1);
  const next = leases.place([]);
  assert.ok(isFailure(await rejection(product), "bridge/refused"));
  await next;
});

test("tiles are held for a refit to what they are by now, which the unit is told", async () => {
  const tiles = new Tiles();
  const leases = new Leases(tiles);
  assert.is(await leases.held(), undefined);
  await leases.place([]);
  assert.equal([(await leases.held())?.name, tiles.refits], ["tiles", 1]);
  tiles.pull();
  assert.equal([await leases.held(), tiles.refits], [undefined, 1]);
});

test("a model is calibrated on the accelerator, and says where it computes", async () => {
  const world = await device(new Tiles());
  assert.equal(units(world), ["accelerator"]);
  assert.equal(
    [world.report.active?.unit, world.health.at(-1)?.unit, world.health.at(-1)?.link_ok],
    ["accelerator", "accelerator", true],
  );
  await world.agent?.stop();
});

test("without an answer from the accelerator the model is prepared digitally, and health says so", async () => {
  const tiles = new Tiles();
  tiles.plugged = false;
  const world = await device(tiles);
  assert.equal(units(world), ["digital"]);
  const { status, reasons, unit } = world.health.at(-1) ?? {};
  assert.equal([status, reasons, unit], ["degraded", ["link-lost", "computing-digitally"], "digital"]);
  await world.agent?.stop();
});

test("a pulled cable is told at once, and no reason to recalibrate", async () => {
  const tiles = new Tiles();
  const world = await device(tiles);
  tiles.pull();
  await world.until("health", () => world.health.at(-1)?.link_ok === false);
  assert.equal(world.health.at(-1)?.reasons, ["link-lost", "computing-digitally"]);
  await world.until("an hour", () => world.clock.uptimeMs() > 3_600_000, 60_000);
  assert.equal([units(world), await world.answer(2)], [["accelerator"], 2]);
  await world.agent?.stop();
});

test("a cable that is back is told at once, and the tiles are used again as they were", async () => {
  const tiles = new Tiles();
  const world = await device(tiles);
  tiles.pull();
  await world.until("health", () => world.health.at(-1)?.link_ok === false);
  tiles.plug();
  await world.until("health", () => world.health.at(-1)?.status === "ok");
  assert.equal([units(world), world.health.at(-1)?.unit], [["accelerator"], "accelerator"]);
  assert.equal(
    world.events.filter(({ code }) => code.startsWith("link/")).map(({ code, level }) => `${level} ${code}`),
    ["warning link/lost", "info link/restored"],
  );
  await world.agent?.stop();
});

for (const [name, change] of [
  ["with other errors", (world: World) => (world.analogWrongEvery = 3)],
  ["as another chip", (_: World, tiles: Tiles) => (tiles.exchanged = true)],
] as const) {
  test(`an accelerator that comes back ${name} is calibrated at once`, async () => {
    const tiles = new Tiles();
    const world = await device(tiles);
    tiles.pull();
    change(world, tiles);
    tiles.plug();
    const began = world.clock.uptimeMs();
    await world.until("the recalibration", () => world.preparations.length === 2);
    assert.ok(world.clock.uptimeMs() - began < 1000, `after ${world.clock.uptimeMs() - began} ms`);
    world.analogWrongEvery = undefined;
    await world.until("health", () => world.health.at(-1)?.status === "ok");
    assert.equal(units(world), ["accelerator", "accelerator"]);
    await world.agent?.stop();
  });
}

test("after a restart the model serves digitally at once, and gets its tiles back by a recalibration", async () => {
  const tiles = new Tiles();
  const world = await device(tiles);
  const leases = new Leases(tiles);
  world.accelerator = leases;
  await world.restart({ leases });
  assert.is(world.agent?.serving.loaded?.deployed.version, "1");
  await world.until("the recalibration", () => world.preparations.length === 2);
  await world.until(
    "its end",
    () => world.health.at(-1)?.unit === "accelerator" && world.health.at(-1)?.update_state === "IDLE",
  );
  assert.equal([units(world), tiles.placed], [["accelerator", "accelerator"], 2]);
  await world.agent?.stop();
});

test("drift recalibrates in the field", async () => {
  const world = await device(new Tiles());
  world.analogWrongEvery = 3;
  await world.until("drift", () => world.health.at(-1)?.reasons.includes("drifting") === true, 60_000);
  await world.until("the recalibration", () => world.preparations.length === 2, 60_000);
  world.analogWrongEvery = undefined;
  await world.until("health", () => world.health.at(-1)?.status === "ok", 60_000);
  assert.equal([units(world), world.report.active?.unit], [["accelerator", "accelerator"], "accelerator"]);
  await world.agent?.stop();
});

test("a recalibration refits what the tiles hold, and tells what each step did, and what it took", async () => {
  const tiles = new Tiles();
  const world = await device(tiles);
  const cost = { samples: 32, products: 1792, tiles: 0, seconds: 0.84 };
  world.refit = {
    steps: [{ ...cost, step: "gain, offset per column", beforePct: 23.4, afterPct: 98.4, accepted: true }],
    returned: ["conv"],
  };
  world.analogWrongEvery = 3;
  await world.until("the recalibration", () => world.preparations.length === 2, 60_000);
  world.analogWrongEvery = undefined;
  await world.until("its end", () => world.history?.calibrations.length === 2, 60_000);
  assert.equal([tiles.placed, world.report.active?.unit, world.health.at(-1)?.unit], [1, "accelerator", "accelerator"]);
  assert.equal(
    world.history?.events.filter(({ code }) => /refit|returned/.test(code)).map(({ level, msg }) => `${level}: ${msg}`),
    [
      "info: gain, offset per column: agreement 23.4 % -> 98.4 %, kept; 32 samples, 1792 products, 0 tiles programmed, 0.8 s",
      "warning: the accelerator gets them too wrong, so they are computed digitally: conv",
    ],
  );
  await world.agent?.stop();
});

test("what it did and why is on a retained topic, with how the layers came out", async () => {
  const tiles = new Tiles();
  const world = await device(tiles);
  assert.equal(world.fit, { v: 1, derived: world.report.active?.derived, layers: [] });
  const layer = {
    name: "conv",
    op: "conv2d",
    format: "nf4",
    bits: 4.5,
    rank: 8,
    unit: "accelerator",
    error: 0.1,
  } as const;
  world.layers = [layer];
  world.analogWrongEvery = 3;
  await world.until("the recalibration", () => world.preparations.length === 2, 60_000);
  world.analogWrongEvery = undefined;
  await world.until("its end", () => world.history?.calibrations.length === 2, 60_000);
  assert.equal(world.fit?.layers, [layer]);
  assert.is(world.fit?.derived, world.report.active?.derived);
  const [, { action, beforePct, afterPct, unit } = {}] = world.history?.calibrations ?? [];
  assert.equal([action, afterPct, unit], ["recalibrate", 100, "accelerator"]);
  assert.ok((beforePct ?? 100) < 90, String(beforePct));
  const why = world.history?.events.find(({ code }) => code === "upkeep/recalibrate");
  assert.match(why?.msg ?? "", /^agreement \d+\.\d % .* in 2 checks, below 90 %/);
  assert.ok(world.history?.readings.some(([, agreementPct]) => agreementPct < 90));
  assert.equal(world.history?.thresholds, { recalibrateBelowPct: 90, healthyAbovePct: 95 });
  await world.agent?.stop();
});

test("if a recalibration does not help, the device computes digitally and says so", async () => {
  const world = await device(new Tiles());
  world.analogWrongEvery = 3;
  await world.until("the fall-back", () => world.agent?.state.active?.unit === "digital", 60_000);
  await world.until("good answers", () => !world.health.at(-1)?.reasons.includes("drifting"), 60_000);
  assert.ok(world.preparations.length >= 2);
  assert.equal(world.health.at(-1)?.reasons, ["computing-digitally"]);
  assert.equal([world.report.state, world.report.active?.version], ["COMMITTED", "1"]);
  assert.ok(world.events.some(({ code }) => code === "upkeep/fall-back"));
  await world.agent?.stop();
});

test.run();
