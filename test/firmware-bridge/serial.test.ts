import { existsSync, lstatSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { loadAcceleratorProfile } from "../../device-profiles/profiles.ts";
import { EmulatedDevice } from "../../firmware-bridge/emulator/device.ts";
import { serve } from "../../firmware-bridge/emulator/serve.ts";
import { openAccelerator } from "../../firmware-bridge/open.ts";
import { Session } from "../../firmware-bridge/session.ts";
import { AcceleratorUnit } from "../../firmware-bridge/tiles/accelerator.ts";
import { openPty, type Pty, ptyUnavailable } from "../../firmware-bridge/transport/pty.ts";
import { openSerial } from "../../firmware-bridge/transport/serial.ts";
import type { Transport } from "../../firmware-bridge/transport/transport.ts";
import { isFailure } from "../../runtime/base/failure.ts";
import { emulate } from "../../tools/accelerator/emulate.ts";
import { patternLayer } from "../support/pattern-layer.ts";

const test = suite("serial");
const profile = await loadAcceleratorProfile("ideal");
const unavailable = ptyUnavailable();
if (unavailable) process.stdout.write(`skipped: serial with a real terminal: ${unavailable}\n`);
const testPty = unavailable ? (_name: string, _run: () => Promise<void>): void => {} : test;

/** Rejects instead of waiting for ever. */
async function within<T>(work: Promise<T>, what: string, limitMs = 10_000): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: not within ${limitMs} ms`)), limitMs);
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}

/** What a failed test leaves open would keep the process alive. */
const left: (() => unknown)[] = [];
test.after.each(async () => {
  for (const close of left.splice(0)) await close();
});

async function terminal(): Promise<Pty> {
  const pty = await openPty();
  left.push(pty.unplug);
  return pty;
}

/** A device on a real pseudo terminal. */
async function plugged(device = new EmulatedDevice(profile)): Promise<Pty> {
  const pty = await terminal();
  void serve(device, pty.device);
  return pty;
}

const closing = (line: Transport): Promise<string> =>
  new Promise((resolve) => line.listen({ data: () => {}, closed: resolve }));

testPty("every byte value passes a real terminal, both ways, in large pieces", async () => {
  const pty = await terminal();
  pty.device.listen({ data: (bytes) => pty.device.write(bytes), closed: () => {} });
  const line = await openSerial(pty.path, 921600);
  const sent = Uint8Array.from({ length: 200_000 }, (_, i) => (i * 7 + (i >> 8)) & 0xff);
  const got: Uint8Array[] = [];
  const all = new Promise<void>((resolve) => {
    let length = 0;
    line.listen({
      data: (bytes) => {
        got.push(bytes.slice());
        length += bytes.length;
        if (length >= sent.length) resolve();
      },
      closed: () => {},
    });
  });
  line.write(sent);
  await within(all, "echo");
  assert.ok(Buffer.concat(got).equals(sent));
  await line.close();
  await pty.unplug();
});

testPty("a session and an accelerator over a serial port", async () => {
  const pty = await plugged();
  const { session, place, close } = await openAccelerator(`serial:${pty.path}`, profile);
  const layer = patternLayer(300, 40, 20);
  const unit = await within(place([layer]), "place");
  const products = await within(unit.multiply(layer.name, layer.typicalInputs, 20), "multiply");
  const nominal = await unit.nominal(layer.name);
  for (const i of [0, 41, 799]) {
    let sum = 0;
    for (let row = 0; row < 300; row++)
      sum += layer.typicalInputs[Math.floor(i / 40) * 300 + row] * nominal[row * 40 + (i % 40)];
    assert.ok(Math.abs(products[i] - sum) < 1e-3 * Math.abs(sum) + 1e-2, `${products[i]} instead of ${sum}`);
  }
  assert.is(session.health.crcErrors + session.health.malformed, 0);
  await close();
  await pty.unplug();
});

testPty("an unplug is seen, again and again, and the device found again", async () => {
  const device = new EmulatedDevice(profile);
  let pty = await plugged(device);
  const session = await Session.open(() => openSerial(pty.path, 115200));
  for (let i = 0; i < 5; i++) {
    const lost = new Promise((resolve) => session.listen(resolve));
    const pending = session.request("ping", { token: i }).catch((error: unknown) => error);
    await pty.unplug();
    assert.is(await within(lost, `unplug ${i}`), "lost");
    assert.ok(!existsSync(pty.path));
    await within(pending, "request under way");
    pty = await plugged(device);
    await within(session.reconnect(), `replug ${i}`);
    assert.equal(await session.request("ping", { token: i }), { token: i });
  }
  await session.close();
  await pty.unplug();
});

testPty("an unplug ends a write that nobody takes", async () => {
  const pty = await terminal();
  const line = await openSerial(pty.path, 115200);
  const closed = closing(line);
  line.write(new Uint8Array(1_000_000));
  await new Promise((resolve) => setImmediate(resolve));
  await pty.unplug();
  await within(closed, "close");
});

testPty("a port can be closed, and opened again by somebody else", async () => {
  const pty = await plugged();
  for (let i = 0; i < 3; i++) {
    const line = await openSerial(pty.path, 115200);
    const closed = closing(line);
    await line.close();
    assert.is(await within(closed, "close"), "closed");
    await line.close();
  }
  await pty.unplug();
});

test("a path that is not there is a failure that names it", async () => {
  const error = await openSerial("/dev/there-is-no-such-port", 115200).catch((reason: unknown) => reason);
  assert.ok(isFailure(error, "bridge/open"));
  assert.match(String(error), /there-is-no-such-port/);
});

test("serialport still is the version whose inside the safe binding knows", () => {
  const version = (name: string): string => createRequire(import.meta.url)(`${name}/package.json`).version;
  assert.equal([version("serialport"), version("@serialport/bindings-cpp")], ["13.0.0", "13.0.0"]);
});

/** Lines as they come. */
function linesOf(stream: PassThrough): () => Promise<string> {
  const iterator = stream[Symbol.asyncIterator]();
  let rest = "";
  return async () => {
    while (!rest.includes("\n")) {
      const { value, done } = await iterator.next();
      if (done) throw new Error("the output ended");
      rest += value;
    }
    const at = rest.indexOf("\n");
    const line = rest.slice(0, at);
    rest = rest.slice(at + 1);
    return line;
  };
}

testPty("polaredge emulate: path first, then commands", async () => {
  const [input, output] = [new PassThrough(), new PassThrough()];
  const link = join(tmpdir(), `polaredge-test-${process.pid}`);
  const end = new AbortController();
  left.push(() => end.abort());
  const done = emulate({ profile: "sram-bitplane-64x64", seed: 3, input, output, link, signal: end.signal });
  const line = linesOf(output);
  const say = async (command: string): Promise<string> => {
    input.write(`${command}\n`);
    return within(line(), command);
  };
  const path = await within(line(), "path");
  assert.is(path, link);
  assert.ok(lstatSync(link).isSymbolicLink());
  const sram = await loadAcceleratorProfile("sram-bitplane-64x64");
  const session = await Session.open(() => openSerial(path, sram.link.baudRate));
  const typicalInputs = Uint8Array.from({ length: 640 }, (_, i) => i & 0xff);
  const weights = new Float32Array(640).fill(0.1);
  const layer = { name: "a", rows: 64, columns: 10, weights, typicalInputs, positions: 1 };
  const unit = await within(AcceleratorUnit.place(session, sram, [layer]), "place");
  assert.is(await say("age 30d"), "tiles are 2592000 s old");
  assert.is(await say("temperature 45"), "45 C");
  const { ageSeconds, temperatureMc } = await unit.status();
  assert.equal([ageSeconds, temperatureMc], [2_592_000, 45_000]);
  assert.match(await say("temperature hot"), /number expected/);
  assert.match(await say("age soon"), /30d/);
  assert.match(await say("dance"), /^commands: /);
  assert.match(await say("status"), /1 tiles, 2592000 s old, 45 C/);
  assert.is(await say("reset"), "restarted");
  await within(unit.multiply("a", typicalInputs, 10), "after a reset");
  assert.is(session.health.resets, 1);
  const lost = new Promise((resolve) => session.listen(resolve));
  assert.is(await say("unplug"), "unplugged");
  assert.is(await within(lost, "unplug"), "lost");
  assert.is(await say("plug"), link);
  await within(unit.recover(), "recover");
  await within(unit.multiply("a", typicalInputs, 10), "after a replug");
  await session.close();
  input.write("quit\n");
  await within(done, "quit");
  assert.not(existsSync(link));
});

test.run();
