import fc from "fast-check";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { loadAcceleratorProfile } from "../../device-profiles/profiles.ts";
import { EmulatedDevice } from "../../firmware-bridge/emulator/device.ts";
import { decodeReply, encodeRequest } from "../../firmware-bridge/protocol/codec.ts";
import {
  type CommandName,
  commands,
  type Refusal,
  type Reply,
  type Request,
  refusalOf,
} from "../../firmware-bridge/protocol/commands.ts";
import { crc32 } from "../../firmware-bridge/protocol/crc.ts";
import { Deframer, encodeFrame, type Frame } from "../../firmware-bridge/protocol/frame.ts";

const test = suite("emulator");
fc.configureGlobal({ seed: 1 });
const profile = await loadAcceleratorProfile("sram-bitplane-64x64");
const i8 = (...levels: number[]): Uint8Array => new Uint8Array(Int8Array.from(levels).buffer);

/** The wire by hand: one request, its answers. */
class Host {
  readonly device: EmulatedDevice;
  #sequence = 0;

  constructor(device: EmulatedDevice = new EmulatedDevice(profile, { seed: 1, bootId: 100 })) {
    this.device = device;
    this.ask("hello", { protocolMin: 1, protocolMax: 1, nonce: 77 });
  }

  send<C extends CommandName>(name: C, values: Request<C>, sequence: number, ack: number = sequence): Frame[] {
    const payload = encodeRequest(name, values);
    return this.raw({ kind: "request", command: commands[name].id, sequence, ack, payload });
  }

  raw(frame: Frame): Frame[] {
    const deframer = new Deframer();
    return this.device.receive(encodeFrame(frame)).flatMap((bytes) => deframer.push(bytes));
  }

  ask<C extends CommandName>(name: C, values: Request<C>): Reply<C> {
    const [frame] = this.#next(name, values);
    assert.is(frame.kind, "reply", `${name}: ${refusalOf(frame.payload[0])}`);
    return decodeReply(name, frame.payload);
  }

  refusal<C extends CommandName>(name: C, values: Request<C>): Refusal | undefined {
    const [frame] = this.#next(name, values);
    assert.is(frame.kind, "refusal");
    return refusalOf(frame.payload[0]);
  }

  program(tile: number, rows: number, columns: number, level: number): void {
    const levels = new Uint8Array(rows * columns).fill(level);
    for (let offset = 0; offset < levels.length; offset += 1000) {
      this.ask("writeTile", { tile, offset, levels: levels.subarray(offset, offset + 1000) });
    }
    this.ask("commitTile", { tile, rows, columns });
  }

  #next<C extends CommandName>(name: C, values: Request<C>): Frame[] {
    const hello = name === "hello";
    const frames = this.send(name, values, this.#sequence);
    if (!hello) this.#sequence = (this.#sequence + 1) & 0xff;
    return frames;
  }
}

test("a repeated request is answered again and not executed again", () => {
  const host = new Host();
  host.program(0, 4, 4, 1);
  const vectors = new Uint8Array(4).fill(9);
  const first = host.send("multiply", { tile: 0, width: 2, vectors }, 2);
  const again = host.send("multiply", { tile: 0, width: 2, vectors }, 2);
  assert.equal(again, first);
  assert.is(host.device.chip.status().products, 1);
});

test("a request outside the window gets no answer", () => {
  const host = new Host();
  assert.equal(host.send("ping", { token: 1 }, 8, 0), []);
  assert.equal(host.send("ping", { token: 1 }, 7, 0).length, 1);
  host.send("ping", { token: 1 }, 20, 14);
  assert.equal(host.send("ping", { token: 1 }, 3, 0), [], "answered long ago");
});

test("before HELLO, and after a restart, every request is answered with HELLO_ACK", () => {
  const device = new EmulatedDevice(profile, { bootId: 5 });
  const host = new Host(device);
  device.restart();
  const [frame] = host.send("ping", { token: 1 }, 0);
  assert.is(frame.command, commands.hello.id);
  const { nonce, bootId, resetReason } = decodeReply("hello", frame.payload);
  assert.equal([nonce, bootId, resetReason], [0, 6, 3]);
});

test("a repeated HELLO does not disturb the conversation, a new one begins another", () => {
  const host = new Host();
  const [first] = host.send("ping", { token: 1 }, 0);
  host.ask("hello", { protocolMin: 1, protocolMax: 1, nonce: 77 });
  assert.equal(host.send("ping", { token: 2 }, 0), [first], "still the old answer");
  host.ask("hello", { protocolMin: 1, protocolMax: 1, nonce: 78 });
  assert.not.equal(host.send("ping", { token: 2 }, 0), [first]);
});

test("tiles: written in any order, verified, committed, multiplied", () => {
  const host = new Host();
  host.ask("writeTile", { tile: 1, offset: 2, levels: i8(-3, 4) });
  host.ask("writeTile", { tile: 1, offset: 0, levels: i8(1, -2) });
  assert.is(host.ask("verifyTile", { tile: 1, length: 4 }).crc, crc32(i8(1, -2, -3, 4)));
  host.ask("commitTile", { tile: 1, rows: 2, columns: 2 });
  const { sums } = host.ask("multiply", { tile: 1, width: 4, vectors: Uint8Array.of(1, 2, 0, 0) });
  assert.is(sums.length, 2 * 2 * 4);
  assert.is(host.ask("status", {}).tilesCommitted, 1);
});

type Ask = (host: Host) => Refusal | undefined;
/** Asks when tile 0 is programmed with rows x columns of a level. */
const programmed =
  (rows: number, columns: number, level: number, ask: Ask): Ask =>
  (host) => {
    host.program(0, rows, columns, level);
    return ask(host);
  };
const write =
  (offset: number, ...levels: number[]): Ask =>
  (host) =>
    host.refusal("writeTile", { tile: 0, offset, levels: i8(...levels) });
const commit =
  (rows: number, columns: number): Ask =>
  (host) =>
    host.refusal("commitTile", { tile: 0, rows, columns });
const multiply =
  (width: number, ...codes: number[]): Ask =>
  (host) =>
    host.refusal("multiply", { tile: 0, width, vectors: Uint8Array.from(codes) });
const once = new Uint8Array(24);
const steps =
  (...values: number[]): Ask =>
  (host) =>
    host.refusal("setRange", { tile: 0, steps: new Uint8Array(Uint32Array.from(values).buffer), reads: once });
/** Reads one plane for one input bit in another way, with steps of 1/8 unit cell. */
const reads =
  (plane: number, bit: number, finer: number, repeats: number): Ask =>
  (host) =>
    host.refusal("setRange", {
      tile: 0,
      steps: new Uint8Array(Uint32Array.of(8192).buffer),
      reads: once.with(8 * plane + bit, finer | (repeats << 4)),
    });
const heat: Ask = (host) =>
  host.refusal("environment", { mask: 2, ageSeconds: 0, temperatureMc: -300_000, seed: 0, deadColumn: 0 });

const refused: [what: string, ask: Ask, expected: Refusal][] = [
  ["a tile there is not", (host) => host.refusal("verifyTile", { tile: 99, length: 1 }), "no-such-tile"],
  ["levels outside", write(4090, 1, 1, 1, 1, 1, 1, 1), "out-of-range"],
  ["a level too large", write(0, 8), "out-of-range"],
  ["a level too small", write(0, -8), "out-of-range"],
  ["too many rows", commit(65, 1), "out-of-range"],
  ["no rows", commit(0, 1), "out-of-range"],
  ["a product without weights", multiply(2, 1), "not-committed"],
  ["part of a vector", programmed(4, 4, 1, multiply(2, 1)), "malformed"],
  ["a width of 3", programmed(4, 4, 1, multiply(3, 1, 1, 1, 1)), "malformed"],
  ["sums that do not fit", programmed(64, 1, 7, multiply(2, ...new Array(64).fill(255))), "too-wide"],
  ["sums longer than a frame", programmed(1, 64, 7, multiply(4, 1, 1, 1, 1, 1, 1, 1, 1)), "out-of-range"],
  ["steps of zero", programmed(4, 1, 1, steps(0)), "out-of-range"],
  ["steps finer than a thousandth", programmed(4, 1, 1, steps(63)), "out-of-range"],
  ["steps for other columns", programmed(4, 2, 1, steps(65536)), "malformed"],
  ["more halvings and reads than a code has bits to lose", programmed(4, 1, 1, reads(1, 2, 2, 2)), "out-of-range"],
  ["steps that are too fine once halved", programmed(4, 1, 1, reads(2, 7, 8, 0)), "out-of-range"],
  ["a temperature that no electronics lives through", heat, "out-of-range"],
];
for (const [what, ask, expected] of refused) {
  test(`refused: ${what}`, () => assert.is(ask(new Host()), expected));
}

test("refused: a command that it does not know, and a payload that does not fit the command", () => {
  const host = new Host();
  const request = { kind: "request", sequence: 0, ack: 0, payload: Uint8Array.of(1) } as const;
  assert.is(refusalOf(host.raw({ ...request, command: 0x7f })[0].payload[0]), "unknown-command");
  assert.is(refusalOf(host.raw({ ...request, sequence: 1, command: commands.multiply.id })[0].payload[0]), "malformed");
  assert.is(refusalOf(host.raw({ ...request, command: commands.hello.id })[0].payload[0]), "malformed");
});

test("time passes for the tiles that are programmed; new ones are fresh", () => {
  const host = new Host();
  host.program(0, 64, 64, 7);
  host.ask("environment", { mask: 1, ageSeconds: 2_592_000, temperatureMc: 0, seed: 0, deadColumn: 0 });
  host.program(1, 64, 64, 7);
  const vectors = new Uint8Array(64).fill(255);
  const mean = (tile: number): number => {
    const { sums } = host.ask("multiply", { tile, width: 4, vectors });
    return new Int32Array(sums.buffer).reduce((sum, value) => sum + value, 0) / 64;
  };
  host.ask("setRange", { tile: 0, steps: new Uint8Array(new Uint32Array(64).fill(3 * 65536).buffer), reads: once });
  host.ask("setRange", { tile: 1, steps: new Uint8Array(new Uint32Array(64).fill(3 * 65536).buffer), reads: once });
  const expected = (2_592_000 / 60) ** -0.05;
  assert.ok(Math.abs(mean(0) / mean(1) / expected - 1) < 0.1, `${mean(0)} after a month, ${mean(1)} fresh`);
});

test("another seed is another chip with another uid, and empty", () => {
  const host = new Host();
  host.program(0, 4, 4, 1);
  const before = host.device.chip.uid;
  host.ask("environment", { mask: 4, ageSeconds: 0, temperatureMc: 0, seed: 9, deadColumn: 0 });
  assert.not.equal(host.device.chip.uid, before);
  assert.is(host.ask("status", {}).tilesCommitted, 0);
});

test("whatever frames come, the device answers or not, but never throws", () => {
  const anyRequest = fc.record({
    command: fc.oneof(
      fc.integer({ min: 0, max: 255 }),
      fc.constantFrom(...Object.values(commands).map(({ id }) => id)),
    ),
    sequence: fc.integer({ min: 0, max: 255 }),
    ack: fc.integer({ min: 0, max: 255 }),
    payload: fc.uint8Array({ maxLength: 40 }),
  });
  const host = new Host();
  fc.assert(
    fc.property(anyRequest, (request) => {
      assert.ok(host.raw({ kind: "request", ...request }).length <= 2);
    }),
    { numRuns: 2000 },
  );
});

test.run();
