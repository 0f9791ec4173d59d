import { readFileSync } from "node:fs";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { AcceleratorProfile } from "../../device-profiles/accelerator.ts";
import { loadAcceleratorProfile } from "../../device-profiles/profiles.ts";
import { EmulatedDevice } from "../../firmware-bridge/emulator/device.ts";
import { encodeRequest } from "../../firmware-bridge/protocol/codec.ts";
import { type CommandName, commands, type Request } from "../../firmware-bridge/protocol/commands.ts";
import { Deframer, encodeFrame } from "../../firmware-bridge/protocol/frame.ts";
import { uniform } from "../../runtime/base/random.ts";
import { buildFirmware, missingPrograms } from "../../tools/accelerator/firmware.ts";
import { HostFirmware } from "../support/firmware.ts";

const test = suite("firmware");
const missing = missingPrograms("make", "cc");
if (missing) process.stdout.write(`skipped: the firmware as a process: ${missing}\n`);
const testBuilt = missing ? (_name: string, _run: () => Promise<void>): void => {} : test;
const BOOT = 1000;

/** The same bytes for the emulator in TypeScript and the firmware in C; the same must come back. */
class Twins {
  readonly profile: AcceleratorProfile;
  readonly device: EmulatedDevice;
  readonly firmware: HostFirmware;
  readonly next: () => number;
  #sequence = 0;

  constructor(profile: AcceleratorProfile, path: string, seed: number, ageSeconds = 0) {
    this.profile = profile;
    this.device = new EmulatedDevice(profile, { bootId: BOOT, seed, ageSeconds });
    this.firmware = new HostFirmware(path, [BOOT, seed, ageSeconds]);
    this.next = uniform(seed);
  }

  /** The firmware says HELLO_ACK at its start; after that, both have the same to say. */
  async meet(): Promise<void> {
    const ping = this.#frame("ping", { token: 0 });
    const [greeting = new Uint8Array()] = this.device.receive(ping);
    this.firmware.send(ping);
    const got = await this.firmware.take(2 * greeting.length);
    assert.ok(got.equals(Buffer.concat([greeting, greeting])));
    await this.greet(5);
  }

  /** Begins a conversation. */
  async greet(nonce: number): Promise<void> {
    await this.both(this.#frame("hello", { protocolMin: 1, protocolMax: 1, nonce }));
    this.#sequence = 0;
  }

  async ask<C extends CommandName>(command: C, values: Request<C>): Promise<void> {
    await this.both(this.#frame(command, values));
  }

  async both(bytes: Uint8Array): Promise<void> {
    const expected = Buffer.concat(this.device.receive(bytes));
    this.firmware.send(bytes);
    const got = await this.firmware.take(expected.length);
    if (!got.equals(expected)) assert.equal(shown(got), shown(expected));
  }

  bytes(length: number, below: number, from = 0): Uint8Array {
    return Uint8Array.from({ length }, () => from + Math.floor(below * this.next()));
  }

  #frame<C extends CommandName>(command: C, values: Request<C>): Uint8Array {
    const sequence = this.#sequence;
    this.#sequence = (sequence + 1) & 0xff;
    const payload = encodeRequest(command, values);
    return encodeFrame({ kind: "request", command: commands[command].id, sequence, ack: sequence, payload });
  }

  async program(tile: number, rows: number, columns: number): Promise<void> {
    const levels = this.bytes(rows * columns, 15, -7);
    const chunk = this.profile.link.mtu - 8;
    for (let offset = 0; offset < levels.length; offset += chunk) {
      await this.ask("writeTile", { tile, offset, levels: levels.subarray(offset, offset + chunk) });
    }
    await this.ask("verifyTile", { tile, length: levels.length });
    await this.ask("commitTile", { tile, rows, columns });
    const steps = Uint32Array.from({ length: columns }, () => 65536 * (0.1 + 2 * this.next()));
    const reads = Uint8Array.from({ length: 24 }, (_, i) => {
      const most = Math.floor(i / 8) + (i % 8);
      const finer = Math.floor(Math.min(4, most + 1) * this.next());
      return finer | (Math.floor(Math.min(3, most - finer + 1) * this.next()) << 4);
    });
    await this.ask("setRange", { tile, steps: new Uint8Array(steps.buffer), reads });
  }

  async multiply(tile: number, rows: number, columns: number): Promise<void> {
    const count = Math.floor((this.profile.link.mtu - 5) / Math.max(rows, 4 * columns));
    const sparse = this.next() < 0.5 ? 256 : 20;
    await this.ask("multiply", { tile, width: 4, vectors: this.bytes(rows * count, sparse) });
    await this.ask("multiply", { tile, width: 2, vectors: this.bytes(rows * count, sparse) });
  }
}

function shown(bytes: Uint8Array): string[] {
  return new Deframer().push(bytes).map((frame) => JSON.stringify({ ...frame, payload: [...frame.payload] }));
}

/** What a failed test leaves running would keep this process alive. */
const left: Twins[] = [];
test.after.each(async () => {
  for (const { firmware } of left.splice(0)) await firmware.end();
});

async function twins(name: string, seed: number, ageSeconds = 0, accumulatorBits = 32): Promise<Twins> {
  const profile = await loadAcceleratorProfile(name);
  const narrow = accumulatorBits < 32 ? [`ACCUMULATOR_BITS=${accumulatorBits}`] : [];
  const twins = new Twins(
    { ...profile, converter: { ...profile.converter, accumulatorBits } },
    buildFirmware(`host-${name}`, ["SANITIZE=1", ...narrow]),
    seed,
    ageSeconds,
  );
  left.push(twins);
  await twins.meet();
  return twins;
}

for (const name of ["sram-bitplane-64x64", "sram-bitplane-128x64"]) {
  testBuilt(`${name}: C and TypeScript compute the same products, whatever the age and temperature`, async () => {
    for (const seed of [1, 2, 77]) {
      const both = await twins(name, seed, seed === 2 ? 2_592_000 : 0);
      const { rows, columns, tiles } = both.profile.array;
      for (const [r, c] of [
        [rows, columns],
        [1, 1],
        [27, 10],
        [rows - 1, columns - 3],
      ] as const) {
        const tile = Math.floor(tiles * both.next());
        await both.program(tile, r, c);
        await both.multiply(tile, r, c);
        const ageSeconds = Math.floor(4e9 * both.next() ** 4);
        const temperatureMc = Math.floor(-55_000 + 205_000 * both.next());
        await both.ask("environment", { mask: 3, ageSeconds, temperatureMc, seed: 0, deadColumn: 0 });
        await both.multiply(tile, r, c);
        await both.ask("status", {});
      }
      await both.ask("environment", { mask: 4, ageSeconds: 0, temperatureMc: 0, seed: 12, deadColumn: 0 });
      await both.program(0, rows, columns);
      await both.multiply(0, rows, columns);
      assert.is(both.firmware.left, 0);
    }
  });
}

testBuilt("a narrow accumulator wraps in C as in TypeScript", async () => {
  const both = await twins("sram-bitplane-64x64", 8, 0, 11);
  await both.program(0, 64, 64);
  for (let i = 0; i < 4; i++) await both.multiply(0, 64, 64);
  assert.is(both.firmware.left, 0);
});

testBuilt("read-back of single rows and the self-test say the same, with a dead column too", async () => {
  for (const name of ["sram-bitplane-64x64", "sram-bitplane-128x64"]) {
    const both = await twins(name, 5);
    await both.ask("readRow", { tile: 0, row: 0 });
    await both.program(0, 20, 30);
    for (const row of [0, 7, 19, 20]) await both.ask("readRow", { tile: 0, row });
    for (const deadColumn of [0xffff, 3]) {
      await both.ask("environment", { mask: 8, ageSeconds: 0, temperatureMc: 0, seed: 0, deadColumn });
      await both.ask("selfTest", { tile: 0 });
    }
    await both.ask("multiply", { tile: 0, width: 2, vectors: new Uint8Array(0) });
    await both.program(0, 20, 30);
    await both.multiply(0, 20, 30);
    await both.ask("selfTest", { tile: 1000 });
    assert.is(both.firmware.left, 0);
  }
});

testBuilt("C and TypeScript refuse the same, repeat the same, and discard the same", async () => {
  const both = await twins("sram-bitplane-64x64", 3);
  await both.program(0, 8, 8);
  for (let i = 0; i < 3000; i++) await both.both(anything(both));
  assert.ok(both.device.counters.frames > 1000 && both.device.counters.discarded > 100);
  assert.is(both.firmware.left, 0);
});

const ids = Object.values(commands).map(({ id }) => id);

/** A frame with numbers near the window and a payload near the command's, whole or damaged; or noise. */
function anything({ next, bytes }: Twins): Uint8Array {
  const pick = (below: number): number => Math.floor(below * next());
  if (next() < 0.05) return bytes.call({ next }, pick(300), 256);
  const command = next() < 0.9 ? (ids[pick(ids.length)] ?? 0) : pick(256);
  const payload = bytes.call({ next }, pick(16), next() < 0.7 ? 9 : 256);
  // Else it would be another conversation, or a restart, most of the time.
  const rare = command === commands.hello.id || command === commands.reset.id;
  if (rare && next() < 0.97) return Uint8Array.of(0);
  const sequence = pick(12);
  const frame = encodeFrame({ kind: "request", command, sequence, ack: Math.max(0, sequence - pick(4)), payload });
  if (next() < 0.1) frame[pick(frame.length)] ^= 1 << pick(8);
  return next() < 0.1 ? frame.subarray(0, pick(frame.length)) : frame;
}

testBuilt("golden frames are whole frames to C as well, and answered as by TypeScript", async () => {
  const vectors: { readonly wire: string }[] = JSON.parse(readFileSync("test/vectors/link/frames.json", "utf8"));
  const both = await twins("sram-bitplane-64x64", 6);
  const { frames, discarded } = both.device.counters;
  for (const { wire } of vectors) await both.both(Buffer.from(wire, "hex"));
  assert.equal(both.device.counters, { frames: frames + vectors.length, discarded });
  await both.greet(7);
  await both.ask("status", {});
  assert.is(both.firmware.left, 0);
});

testBuilt("a restart is told by itself, and ends the conversation", async () => {
  const both = await twins("sram-bitplane-64x64", 4);
  await both.program(0, 4, 4);
  await both.ask("reset", {});
  await both.ask("ping", { token: 1 });
  await both.greet(6);
  await both.multiply(0, 4, 4);
});

test.run();
