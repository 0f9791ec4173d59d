import { existsSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadAcceleratorProfile } from "../../device-profiles/profiles.ts";
import { EmulatedDevice } from "../../firmware-bridge/emulator/device.ts";
import { serve } from "../../firmware-bridge/emulator/serve.ts";
import { isPresent, openAccelerator } from "../../firmware-bridge/open.ts";
import { StandingLink } from "../../firmware-bridge/standing-link.ts";
import { openPty } from "../../firmware-bridge/transport/pty.ts";
import { systemClock } from "../../runtime/base/clock.ts";
import { patternCodes, patternLayer } from "../support/pattern-layer.ts";

/**
 * `npm run proof:unplug [-- CYCLES]`: pulls the plug of an emulated accelerator on a real pty in the middle of a batch,
 * plugs it in again a while later, and looks how long it takes until products are right again, and what waiting costs.
 */
const cycles = Number(process.argv[2] ?? 100);
const BAR = { recoveryMs: 3000, cpuPct: 5 } as const;
const PROFILE = "ideal";
const address = join(tmpdir(), `polaredge-unplug-${process.pid}`);

const inputs = patternCodes(256, 400);
const layer = patternLayer(256, 64, 20);

const profile = await loadAcceleratorProfile(PROFILE);
const device = new EmulatedDevice(profile);

async function plug(): Promise<() => Promise<void>> {
  const pty = await openPty();
  void serve(device, pty.device);
  symlinkSync(pty.path, address);
  return async () => {
    rmSync(address, { force: true });
    await pty.unplug();
  };
}

async function wait(what: string, ready: () => boolean): Promise<void> {
  for (const end = performance.now() + 10_000; !ready(); ) {
    if (performance.now() > end) throw new Error(`waited 10 s in vain: ${what}`);
    await systemClock.sleep(5);
  }
}

let unplug = await plug();
const link = new StandingLink({
  name: address,
  open: () => openAccelerator(address, profile),
  isPresent: () => isPresent(address),
  clock: systemClock,
  onFault: () => {},
});
const unit = await link.place([layer]);
const expected = await unit.multiply(layer.name, inputs, 400);

/** Pulls the plug while a batch is under way, and returns how long recovery took and what waiting cost. */
async function cycle(number: number): Promise<{ recoveryMs: number; cpuPct: number }> {
  const underWay = unit.multiply(layer.name, inputs, 400).then(
    () => "answered",
    () => "failed",
  );
  await systemClock.sleep(number % 20);
  await unplug();
  await underWay;
  await wait("the unplug is seen", () => link.linked === false);
  const [began, cpu] = [performance.now(), process.cpuUsage()];
  await systemClock.sleep(1500 + ((number * 137) % 1000));
  const { user, system } = process.cpuUsage(cpu);
  const cpuPct = (user + system) / 10 / (performance.now() - began);
  unplug = await plug();
  const back = performance.now();
  await wait("the link is restored", () => link.linked === true);
  const products = await unit.multiply(layer.name, inputs, 400);
  const recoveryMs = performance.now() - back;
  if (!products.every((value, i) => value === expected[i])) throw new Error(`cycle ${number}: wrong products`);
  return { recoveryMs, cpuPct };
}

const results: Awaited<ReturnType<typeof cycle>>[] = [];
for (let i = 0; i < cycles; i++) results.push(await cycle(i));
await link.close();
await unplug();

const recovered = results.filter(({ recoveryMs }) => recoveryMs <= BAR.recoveryMs).length;
const slowest = Math.max(...results.map(({ recoveryMs }) => recoveryMs));
const cpuPct = results.reduce((sum, result) => sum + result.cpuPct, 0) / cycles;
const good = recovered === cycles && cpuPct < BAR.cpuPct && !existsSync(address);
process.stdout.write(
  `${good ? "ok" : "FAILED"}: proof:unplug ${recovered} of ${cycles} recovered within 3 s, slowest ${slowest.toFixed(0)} ms; ` +
    `CPU while unplugged ${cpuPct.toFixed(1)} % (bar ${BAR.cpuPct} %)\n`,
);
process.exit(good ? 0 : 1);
