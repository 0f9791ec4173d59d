import { suite } from "uvu";
import * as assert from "uvu/assert";
import { loadAcceleratorProfile } from "../../device-profiles/profiles.ts";
import { type DeviceStart, EmulatedDevice } from "../../firmware-bridge/emulator/device.ts";
import { selfTest } from "../../firmware-bridge/self-test.ts";
import { Session } from "../../firmware-bridge/session.ts";
import { type LineFaults, pair } from "../../firmware-bridge/transport/pair.ts";
import type { Transport } from "../../firmware-bridge/transport/transport.ts";
import { type FailureCode, isFailure } from "../../runtime/base/failure.ts";
import { lineTo } from "../support/line.ts";
import { ManualClock } from "../support/manual-clock.ts";

const test = suite("session");
const profile = await loadAcceleratorProfile("ideal");

/** A device behind a line, both on a clock of their own. */
interface Bench {
  readonly clock: ManualClock;
  readonly device: EmulatedDevice;
  readonly session: Session;
  readonly events: string[];
  /** The device's end of the line that is open now. */
  line(): Transport;
}

async function bench(faults: LineFaults = { seed: 0 }, start: DeviceStart = {}): Promise<Bench> {
  const clock = new ManualClock();
  const device = new EmulatedDevice(profile, { bootId: 7, ...start });
  const { connect, line } = lineTo(device, faults);
  const session = new Session(connect, { clock });
  const events: string[] = [];
  session.listen((event) => events.push(event));
  await clock.until(session.reconnect());
  return { clock, device, session, events, line };
}

async function failureOf(work: Promise<unknown>): Promise<FailureCode | "no failure"> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error === undefined) return "no failure";
  assert.ok(isFailure(error), String(error));
  return error.code;
}

const pings = (session: Session, count: number): Promise<number[]> =>
  Promise.all(Array.from({ length: count }, async (_, token) => (await session.request("ping", { token })).token));
const counted = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

test("HELLO brings the device's capabilities", async () => {
  const { session } = await bench();
  const { protocol, tiles, rows, columns, weightBits, adcBits, bootId } = session.device;
  assert.equal([protocol, tiles, rows, columns, weightBits, adcBits, bootId], [1, 16, 256, 256, 8, 0, 7]);
  assert.is(session.device.uid.length, 16);
  await session.close();
});

test("each answer goes to its question, however many there are", async () => {
  const { session, clock } = await bench();
  assert.equal(await clock.until(pings(session, 1000)), counted(1000));
  assert.is(session.health.retransmits, 0);
  await session.close();
});

const lines: [name: string, faults: LineFaults][] = [
  ["1 % of bytes damaged", { seed: 1, byteErrors: 0.01 }],
  ["5 % of writes lost", { seed: 2, drops: 0.05 }],
  ["20 % of writes doubled", { seed: 3, duplicates: 0.2 }],
  ["every write cut in two", { seed: 4, splits: 1 }],
  ["all of it", { seed: 5, byteErrors: 0.005, drops: 0.02, duplicates: 0.02, splits: 0.3 }],
];
for (const [name, faults] of lines) {
  test(`with ${name} all answers are right, and nothing is executed twice`, async () => {
    const { session, clock, device } = await bench(faults);
    const level = (i: number): Uint8Array => Uint8Array.of(i & 0x7f);
    const writes = counted(300).map((i) => session.request("writeTile", { tile: 0, offset: i, levels: level(i) }));
    await clock.until(Promise.all(writes));
    assert.equal(await clock.until(pings(session, 300)), counted(300));
    await clock.until(session.request("commitTile", { tile: 0, rows: 1, columns: 1 }));
    const vectors = Uint8Array.of(3);
    await clock.until(Promise.all(counted(200).map(() => session.request("multiply", { tile: 0, width: 2, vectors }))));
    assert.is(device.chip.status().products, 200);
    assert.is(session.health.losses + session.health.resets, 0);
    await session.close();
  });
}

test("a device that restarts fails what is under way, says so, and serves again", async () => {
  const { session, clock, device, line, events } = await bench();
  const before = session.device.bootId;
  const work = failureOf(pings(session, 100));
  line().write(device.restart());
  assert.is(await clock.until(work), "bridge/disconnected");
  assert.equal(await clock.until(pings(session, 3)), counted(3));
  assert.equal(events, ["reset"]);
  assert.is(session.device.bootId, before + 1);
  assert.is(session.health.resets, 1);
  await session.close();
});

test("a restart is noticed even if nothing tells of it: the next request is answered with HELLO_ACK", async () => {
  const { session, clock, device, events } = await bench();
  device.restart();
  assert.is(await clock.until(failureOf(session.request("ping", { token: 1 }))), "bridge/disconnected");
  assert.equal(await clock.until(pings(session, 3)), counted(3));
  assert.equal(events, ["reset"]);
  await session.close();
});

test("the reset command is answered before the device restarts", async () => {
  const { session, clock, events } = await bench();
  await clock.until(session.request("reset", {}));
  assert.equal(await clock.until(pings(session, 3)), counted(3));
  assert.equal(events, ["reset"]);
  await session.close();
});

test("unplugged: what is under way fails, reconnect() opens anew", async () => {
  const { session, clock, line, events } = await bench();
  const work = failureOf(pings(session, 50));
  await line().close();
  assert.is(await clock.until(work), "bridge/disconnected");
  assert.is(await clock.until(failureOf(session.request("ping", { token: 1 }))), "bridge/disconnected");
  assert.equal(events, ["lost"]);
  assert.not(session.connected);
  await clock.until(session.reconnect());
  assert.equal(await clock.until(pings(session, 3)), counted(3));
  await session.close();
});

/** A line to a device that only does what `answer` says. */
const mute = async (answer: (far: Transport) => void): Promise<Transport> => {
  const [host, far] = pair();
  answer(far);
  return host;
};

test("nobody there: HELLO is repeated, then a time-out says what to look at", async () => {
  const clock = new ManualClock();
  let heard = 0;
  const session = new Session(() => mute((far) => far.listen({ data: () => heard++, closed: () => {} })), { clock });
  const error = await clock.until(session.reconnect()).catch((reason: unknown) => reason);
  assert.ok(isFailure(error, "bridge/timeout"));
  assert.match(String(error), /powered/);
  assert.is(heard, 2 * 16, "zeros and HELLO each time");
  assert.is(clock.uptimeMs(), 16 * 250);
});

test("something else there: the time-out says that", async () => {
  const clock = new ManualClock();
  const chatter = new TextEncoder().encode("AT OK\0AT OK\0");
  const echo = (far: Transport): void => far.listen({ data: () => far.write(chatter), closed: () => {} });
  const session = new Session(() => mute(echo), { clock });
  const error = await clock.until(session.reconnect()).catch((reason: unknown) => reason);
  assert.ok(isFailure(error, "bridge/timeout"));
  assert.match(String(error), /baud rate/);
});

test("no version in common is a failure that names both sides", async () => {
  const error = await bench({ seed: 0 }, { protocol: { min: 2, max: 3 } }).catch((reason: unknown) => reason);
  assert.ok(isFailure(error, "bridge/protocol-version"));
  assert.match(String(error), /protocol 2\.\.3, polaredge 1\.\.1/);
});

test("silence is filled with pings; a device that stops answering them is lost within seconds", async () => {
  const clock = new ManualClock();
  const device = new EmulatedDevice(profile);
  let dead = false;
  const connect = (): Promise<Transport> =>
    mute((far) =>
      far.listen({
        data: (bytes) => {
          for (const answer of dead ? [] : device.receive(bytes)) far.write(answer);
        },
        closed: () => {},
      }),
    );
  const session = new Session(connect, { clock });
  const events: string[] = [];
  session.listen((event) => events.push(event));
  await clock.until(session.reconnect());
  const before = device.counters.frames;
  await clock.pass(10_000);
  const heard = device.counters.frames - before;
  assert.ok(heard >= 8 && heard <= 11, `${heard} pings in 10 s`);
  dead = true;
  await clock.pass(6000);
  assert.equal(events, ["lost"]);
});

test("a refusal says what was refused and why", async () => {
  const { session, clock } = await bench();
  const error = await clock
    .until(session.request("multiply", { tile: 3, width: 2, vectors: new Uint8Array(4) }))
    .catch((reason: unknown) => reason);
  assert.ok(isFailure(error, "bridge/refused"));
  assert.equal(error.detail, { command: "multiply", refusal: "not-committed" });
  await session.close();
});

test("a device tests itself: no column of a good one is dead, a dead one is named, old cells are weak", async () => {
  const sram = await loadAcceleratorProfile("sram-bitplane-64x64");
  const device = new EmulatedDevice({ ...sram, array: { ...sram.array, tiles: 2 } });
  const clock = new ManualClock();
  const session = new Session(lineTo(device, { seed: 0 }).connect, { clock });
  await clock.until(session.reconnect());
  assert.equal(await clock.until(selfTest(session)), { groups: 2 * 4 * 64, weak: 0, deadColumns: [] });
  device.chip.breakColumn(9);
  assert.equal((await clock.until(selfTest(session)))?.deadColumns, [
    { tile: 0, column: 9 },
    { tile: 1, column: 9 },
  ]);
  assert.is(await clock.until(failureOf(session.request("readRow", { tile: 0, row: 0 }))), "bridge/refused");
  await session.close();
  const old = new Session(lineTo(new EmulatedDevice(sram, { ageSeconds: 4e9 }), { seed: 0 }).connect, { clock });
  await clock.until(old.reconnect());
  assert.ok(((await clock.until(selfTest(old)))?.weak ?? 0) > 100);
  await old.close();
});

test("a device whose cells have no self-test is not asked for it", async () => {
  const { session, clock } = await bench();
  assert.is(await clock.until(selfTest(session)), undefined);
  assert.is(await clock.until(failureOf(session.request("selfTest", { tile: 0 }))), "bridge/refused");
  await session.close();
});

test("requests after close() fail", async () => {
  const { session, clock } = await bench();
  await session.close();
  assert.is(await clock.until(failureOf(session.request("ping", { token: 1 }))), "bridge/disconnected");
});

test.run();
