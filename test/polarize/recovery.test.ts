import { readFile } from "node:fs/promises";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { loadProfile } from "../../device-profiles/profiles.ts";
import { type OpenAccelerator, openAccelerator } from "../../firmware-bridge/open.ts";
import type { Prepared } from "../../runtime/agent/ports.ts";
import { workerPreparer } from "../../runtime/agent/preparer.ts";

import type { PolarizedModel } from "../../runtime/model/stages.ts";
import type { Accelerator, MatmulUnit, UnitLayer } from "../../runtime/plan/unit.ts";
import { type Placed, type RecoveryStep, recover, type Standing } from "../../runtime/polarize/recovery.ts";
import { decodeModel } from "../../runtime/quantize/file.ts";
import { releaseFile } from "../../tools/bearing/releases.ts";
import { bearingSamples } from "../../tools/bearing/samples.ts";
import { normals } from "../support/random.ts";

const test = suite("recovery");
const YEAR = 365 * 86_400;
const profile = await loadProfile("raspberry-pi-4");
const never = new AbortController().signal;
const model = new Uint8Array(await readFile(releaseFile("1.0.0")));
const { inputs: samples } = bearingSamples(32, 5);
const { inputs: probes } = bearingSamples(32, 6);

/** Tiles that answer through what was done to them, until they are programmed again. */
class Damaged implements Accelerator {
  readonly #device: OpenAccelerator;
  damage: ((products: Float32Array) => Float32Array) | undefined;
  programmed = 0;
  #unit: MatmulUnit | undefined;
  #again = async (): Promise<void> => {};

  constructor(device: OpenAccelerator) {
    this.#device = device;
  }

  async place(layers: readonly UnitLayer[]): Promise<MatmulUnit> {
    this.programmed++;
    this.damage = undefined;
    const placed = await this.#device.place(layers);
    this.#unit = {
      name: placed.name,
      uid: placed.uid,
      layers: placed.layers,
      tilesUsed: placed.tilesUsed,
      get strengths() {
        return placed.strengths;
      },
      nominal: (layer) => placed.nominal(layer),
      trim: () => placed.trim(),
      multiply: async (...asked) => {
        const products = await placed.multiply(...asked);
        return this.damage?.(products) ?? products;
      },
    };
    this.#again = () => placed.reprogram();
    return this.#unit;
  }

  /** What is broken stays so. */
  async renewed(): Promise<MatmulUnit | undefined> {
    await this.#again();
    return this.#unit;
  }

  async held(): Promise<MatmulUnit | undefined> {
    return this.#unit;
  }
}

const device = await openAccelerator("emulator:sram-bitplane-64x64?seed=7");
test.after(() => device.close());
const accelerator = new Damaged(device);
const preparer = workerPreparer(profile, accelerator);
const job = { model, name: "bearing", samples, probes, unit: "accelerator" } as const;
const prepared = (of?: Prepared): Promise<Prepared> =>
  preparer.prepare({ ...job, installed: of && { model: of.model, enoughPct: 95 } }, () => undefined, never);
let installed: Prepared;

test("a year of drift is made good without a sample, and no tile is programmed", async () => {
  const fresh = await prepared();
  device.emulated?.chip.age(YEAR);
  installed = await prepared(fresh);
  const [trimmed, ...more] = installed.steps ?? [];
  assert.equal([trimmed.step, trimmed.accepted, trimmed.tiles, trimmed.samples], ["tiles trimmed", true, 0, 0]);
  assert.ok(trimmed.beforePct < 80 && trimmed.afterPct >= 95, `${trimmed.beforePct} -> ${trimmed.afterPct}`);
  assert.equal([fresh.steps, more, installed.returned, accelerator.programmed], [undefined, [], [], 1]);
});

test("cells that no correction recovers are programmed again before their layers are given up", async () => {
  const noise = normals(1 << 16, 9);
  accelerator.damage = (products) => products.map((_, i) => 1e4 * noise[i]);
  const { steps = [], returned, model } = await prepared(installed);
  const { tilesUsed: tiles = 0 } = (await accelerator.held()) ?? {};
  assert.equal(
    steps.map((taken) => [taken.step, taken.tiles]),
    [
      ["tiles trimmed", 0],
      ["gain, offset per column", 0],
      ["low rank", 0],
      ["higher rank", 0],
      ["as when fresh", tiles],
      ["reprogrammed", tiles],
    ],
  );
  assert.equal([accelerator.programmed, returned, tiles > 0], [2, [], true]);
  assert.ok((steps.at(-1)?.afterPct ?? 0) >= 95);
  assert.ok([...decodeModel(model).layers.values()].some(({ accelerator }) => accelerator !== undefined));
});

const unit: MatmulUnit = {
  name: "imagined",
  uid: "1",
  layers: new Set(),
  tilesUsed: 4,
  multiply: async () => new Float32Array(),
  nominal: async () => new Float32Array(),
};
const placed = (): Placed => ({ model: { layers: new Map() } as unknown as PolarizedModel, unit });

for (const [name, before, after, kept] of [
  ["stops at the first step that is good enough", [40, 1], [[96, 0.3]], 0],
  [
    "drops a step that makes nothing better",
    [80, 0.4],
    [
      [80, 0.5],
      [90, 0.3],
      [92, 0.3],
    ],
    2,
  ],
  [
    "asks the residual where the agreement is the same",
    [80, 0.4],
    [
      [80, 0.3],
      [70, 0.3],
      [96, 0.2],
    ],
    2,
  ],
  [
    "has nothing to go back to once the tiles are programmed",
    [80, 0.4],
    [
      [70, 1],
      [70, 1],
      [60, 1],
    ],
    2,
  ],
] as const) {
  test(`the ladder ${name}`, async () => {
    const made = [placed(), placed(), placed()];
    const start = placed();
    const standings = new Map<Placed, Standing>(
      [[start, before] as const, ...after.map((found, i) => [made[i], found] as const)].map(
        ([of, [agreementPct, residual]]) => [of, { agreementPct, residual }],
      ),
    );
    const steps = made.map(
      (result, i): RecoveryStep => ({
        step: String(i),
        samples: 8,
        programs: i === 2,
        lasts: i === 2,
        work: async () => result,
      }),
    );
    const judge = async (of: Placed): Promise<Standing> => standings.get(of) ?? { agreementPct: 0, residual: 1 };
    const found = await recover(start, steps, judge, 95, { products: () => 0, nowMs: () => 0 });
    assert.is(found.steps.length, after.length);
    assert.is(found.model, made[kept].model);
    assert.is(found.steps.at(-1)?.tiles, after.length === 3 ? 4 : 0);
  });
}

test.run();
