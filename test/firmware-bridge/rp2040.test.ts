import { readFileSync } from "node:fs";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { loadAcceleratorProfile } from "../../device-profiles/profiles.ts";
import { EmulatedDevice } from "../../firmware-bridge/emulator/device.ts";
import { Rp2040Device } from "../../firmware-bridge/emulator/rp2040.ts";
import { serve } from "../../firmware-bridge/emulator/serve.ts";
import { type OpenAccelerator, openOver } from "../../firmware-bridge/open.ts";
import { pair } from "../../firmware-bridge/transport/pair.ts";
import type { Transport } from "../../firmware-bridge/transport/transport.ts";
import { buildFirmware, missingPrograms } from "../../tools/accelerator/firmware.ts";
import { withKnownCells } from "../support/boards.ts";
import { patternLayer } from "../support/pattern-layer.ts";

/** The image for a Raspberry Pi Pico, instruction by instruction, gives what the TypeScript emulator gives. */
const test = suite("rp2040");
const missing = missingPrograms("make", "arm-none-eabi-gcc");
if (missing) process.stdout.write(`skipped: the RP2040 image: ${missing}\n`);
const [ROWS, COLUMNS, COUNT] = [128, 64, 2];
const layer = patternLayer(ROWS, COLUMNS, 8);
const inputs = Uint8Array.from({ length: ROWS * COUNT }, (_, i) => (i * 131) & 0xff);

async function linked(plug: (line: Transport) => unknown): Promise<OpenAccelerator> {
  const profile = withKnownCells(await loadAcceleratorProfile("sram-bitplane-128x64"));
  return openOver(async () => {
    const [host, far] = pair();
    void plug(far);
    return host;
  }, profile);
}

async function products({ place }: OpenAccelerator): Promise<number[]> {
  return [...(await (await place([layer])).multiply("layer", inputs, COUNT))];
}

const tested = missing ? test.skip : test;
tested("the same products, again after a reset; time passes without a word on the line", async () => {
  const profile = await loadAcceleratorProfile("sram-bitplane-128x64");
  const inTypeScript = await linked((line) => serve(new EmulatedDevice(profile, { seed: 7 }), line));
  const expected = await products(inTypeScript);
  await inTypeScript.close();
  const device = await Rp2040Device.start(readFileSync(buildFirmware("rp2040.bin")), { seed: 7 });
  try {
    const link = await linked((line) => device.serve(line));
    assert.is(link.session.device.tiles, 5);
    assert.equal(await products(link), expected);
    const boot = link.session.device.bootId;
    const restarted = new Promise((resolve) => link.session.listen(resolve));
    await link.session.request("reset", {});
    assert.is(await restarted, "reset");
    assert.equal(await products(link), expected);
    assert.is(link.session.device.bootId, boot + 1);
    await device.expose({ ageSeconds: 3600 });
    await device.expose({ temperatureC: 40 });
    const { ageSeconds, temperatureMc } = await link.session.request("status", {});
    assert.equal({ ageSeconds, temperatureMc }, { ageSeconds: 3600, temperatureMc: 40_000 });
    await link.close();
  } finally {
    await device.stop();
  }
});

test.run();
