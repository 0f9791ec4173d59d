import { suite } from "uvu";
import * as assert from "uvu/assert";
import { loadAcceleratorProfile } from "../../device-profiles/profiles.ts";
import { EmulatedDevice } from "../../firmware-bridge/emulator/device.ts";
import { serve } from "../../firmware-bridge/emulator/serve.ts";
import { openOver } from "../../firmware-bridge/open.ts";
import { StandingLink } from "../../firmware-bridge/standing-link.ts";
import { pair } from "../../firmware-bridge/transport/pair.ts";
import type { Transport } from "../../firmware-bridge/transport/transport.ts";
import { Failure, isFailure } from "../../runtime/base/failure.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { patternCodes, patternLayer } from "../support/pattern-layer.ts";
import { rejection } from "../support/until.ts";

const test = suite("standing link");
const profile = await loadAcceleratorProfile("sram-bitplane-64x64");
const inputs = patternCodes(64, 20);
const layer = patternLayer(64, 64, 20);

/** A device, a socket for it, and a link that looks for it. */
class Bench {
  readonly clock: ManualClock = new ManualClock();
  readonly device: EmulatedDevice = new EmulatedDevice(profile, { bootId: 1 });
  readonly events: string[] = [];
  readonly link: StandingLink;
  plugged = true;
  /** It is there, but says nothing. */
  mute = false;
  looks = 0;
  opened = 0;
  faults = 0;
  #line: Transport | undefined;

  constructor() {
    const { clock } = this;
    this.link = new StandingLink({
      name: "bench",
      open: () => openOver(() => this.#connect(), profile, this.device, { clock }),
      isPresent: async () => {
        this.looks++;
        return this.plugged;
      },
      clock,
      onFault: () => this.faults++,
    });
    this.link.listen((event, message) => this.events.push(`${event}: ${message}`));
  }

  async pull(): Promise<void> {
    this.plugged = false;
    await this.#line?.close();
    await this.clock.settle();
  }

  say(bytes: Uint8Array): void {
    this.#line?.write(bytes);
  }

  async #connect(): Promise<Transport> {
    if (!this.plugged) throw new Failure("bridge/open", "nothing there");
    this.opened++;
    const [host, far] = pair();
    this.#line = far;
    if (!this.mute) void serve(this.device, far);
    return host;
  }
}

test("a pulled cable costs one look a second, and the tiles are as they were when it is back", async () => {
  const bench = new Bench();
  const { clock, link } = bench;
  const unit = await clock.until(link.place([layer]));
  const before = await clock.until(unit.multiply("layer", inputs, 20));
  await bench.pull();
  assert.equal([link.linked, unit.layers.size], [false, 0]);
  const looks = bench.looks;
  const { revision } = bench.device.chip.status();
  await clock.pass(600_000);
  assert.equal([bench.looks - looks, bench.opened], [600, 1]);
  bench.plugged = true;
  await clock.pass(1500);
  assert.equal([link.linked, unit.layers.size, bench.opened], [true, 1, 2]);
  assert.is(bench.device.chip.status().revision, revision);
  const after = await clock.until(unit.multiply("layer", inputs, 20));
  assert.ok(after.length === before.length && after.some((value) => value !== 0));
  assert.is(bench.events.length, 2);
  assert.match(bench.events[1] ?? "", /^restored: .* is back$/);
  await link.close();
});

test("what was not there at the first placing is found when it comes", async () => {
  const bench = new Bench();
  bench.plugged = false;
  assert.is(bench.link.linked, undefined);
  assert.ok(isFailure(await rejection(bench.clock.until(bench.link.place([layer]))), "bridge/open"));
  assert.ok(isFailure(await rejection(bench.link.place([layer])), "bridge/disconnected"));
  bench.plugged = true;
  await bench.clock.pass(1500);
  assert.is(bench.link.linked, true);
  assert.is((await bench.clock.until(bench.link.place([layer]))).layers.size, 1);
  await bench.link.close();
});

test("a device that hangs is asked again, ever more slowly, until it answers", async () => {
  const bench = new Bench();
  const { clock, link } = bench;
  const unit = await clock.until(link.place([layer]));
  bench.mute = true;
  await bench.pull();
  bench.plugged = true;
  await clock.pass(120_000);
  assert.ok(bench.faults > 15 && bench.faults < 25, `${bench.faults} attempts`);
  bench.mute = false;
  const began = clock.uptimeMs();
  // An attempt that has begun talks to the mute line; the next one does not.
  while (!link.linked && clock.uptimeMs() - began < 10_000) await clock.pass(100);
  assert.equal([link.linked, unit.layers.size], [true, 1]);
  assert.ok(clock.uptimeMs() - began <= 6500, `${clock.uptimeMs() - began} ms`);
  await link.close();
});

test("another chip is not taken for the one that was calibrated", async () => {
  const bench = new Bench();
  const { clock, link } = bench;
  const unit = await clock.until(link.place([layer]));
  await bench.pull();
  bench.device.chip.replace(99);
  bench.plugged = true;
  await clock.pass(1500);
  assert.match(bench.events[1] ?? "", /^restored: another accelerator/);
  assert.equal([link.linked, unit.layers.size], [true, 0]);
  const next = await clock.until(link.place([layer]));
  assert.is(next.layers.size, 1);
  assert.is.not(next.uid, unit.uid);
  await link.close();
});

test("a device that restarts while nobody asks it is programmed at once", async () => {
  const bench = new Bench();
  const { clock, link } = bench;
  await clock.until(link.place([layer]));
  bench.say(bench.device.restart());
  assert.is(bench.device.chip.status().tilesCommitted, 0);
  for (let i = 0; i < 10; i++) await clock.pass(50);
  assert.is(bench.device.chip.status().tilesCommitted, 1);
  assert.is(bench.events.length, 1);
  await link.close();
});

test.run();
