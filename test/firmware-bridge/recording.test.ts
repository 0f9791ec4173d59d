import { suite } from "uvu";
import * as assert from "uvu/assert";
import { loadAcceleratorProfile } from "../../device-profiles/profiles.ts";
import { EmulatedDevice } from "../../firmware-bridge/emulator/device.ts";
import { ReplayDevice } from "../../firmware-bridge/emulator/replay.ts";
import { type Answering, serve } from "../../firmware-bridge/emulator/serve.ts";
import { openOver } from "../../firmware-bridge/open.ts";
import { type LineFaults, pair } from "../../firmware-bridge/transport/pair.ts";
import { type Passage, parseRecording, passageLine, recorded } from "../../firmware-bridge/transport/recording.ts";
import { isFailure } from "../../runtime/base/failure.ts";
import { countLink } from "../../tools/accelerator/link-counts.ts";
import { patternCodes, patternLayer } from "../support/pattern-layer.ts";
import { rejection } from "../support/until.ts";

const test = suite("recording");
/** Products with which the unit learns its converters' offsets before the first inference. */
const LEARNING = 3;
const profile = await loadAcceleratorProfile("sram-bitplane-64x64");
const inputs = patternCodes(64, 40);
const layer = patternLayer(64, 64, 40);

/** Products of one device, and what passed. */
async function products(device: Answering, faults?: LineFaults): Promise<{ got: number[]; text: string }> {
  const began = performance.now();
  let text = "";
  const connect = async () => {
    const [host, far] = pair(faults);
    void serve(device, far);
    return recorded(
      host,
      () => performance.now() - began,
      (passage) => {
        text += passageLine(passage);
      },
    );
  };
  const link = await openOver(connect, profile);
  const unit = await link.place([layer]);
  const got: number[] = [];
  for (let i = 0; i < 3; i++) got.push(...(await unit.multiply("layer", inputs.subarray(0, 64 * 15), 15)));
  await link.close();
  return { got, text };
}

test("a recorded device answers again as it did, also what it answered differently each time", async () => {
  const original = await products(new EmulatedDevice(profile, { seed: 4 }));
  assert.ok(
    original.got.some((product, i) => product !== original.got[i % (15 * 64)]),
    "there is noise",
  );
  const again = await products(new ReplayDevice(parseRecording(original.text)));
  assert.equal(again.got, original.got);
});

test("a recording of a bad line, replayed on another bad line", async () => {
  const noisy: LineFaults = { seed: 3, byteErrors: 2e-4, drops: 0.02, duplicates: 0.1, splits: 0.3 };
  const original = await products(new EmulatedDevice(profile, { seed: 4 }), noisy);
  const again = await products(new ReplayDevice(parseRecording(original.text)), { ...noisy, seed: 8 });
  assert.equal(again.got, original.got);
  const { repetitions, discarded, commands } = countLink(parseRecording(original.text));
  assert.ok(repetitions > 0 && discarded.host > 0);
  assert.is(commands.multiply?.requests, 3 + LEARNING);
});

test("what the recorded device was never asked is refused", async () => {
  const { text } = await products(new EmulatedDevice(profile));
  const [host, far] = pair();
  void serve(new ReplayDevice(parseRecording(text)), far);
  const { session, close } = await openOver(async () => host, profile);
  const error = await rejection(session.request("ping", { token: 77 }));
  assert.ok(isFailure(error, "bridge/refused") && error.detail.refusal === "unsupported", String(error));
  await close();
});

test("counts: requests, round trips, bytes and restarts", async () => {
  const { text } = await products(new EmulatedDevice(profile));
  const passages = parseRecording(text);
  const restart: Passage = { ms: 1e6, towards: "host", bytes: new EmulatedDevice(profile).restart() };
  const counts = countLink([...passages, restart]);
  const total = (towards: "device" | "host"): number =>
    [...passages, restart].reduce((sum, passage) => sum + (passage.towards === towards ? passage.bytes.length : 0), 0);
  assert.equal(counts.bytes, { device: total("device"), host: total("host") });
  assert.equal([counts.seconds, counts.repetitions, counts.restarts], [1000, 0, 1]);
  assert.equal(Object.keys(counts.commands), [
    "hello",
    "writeTile",
    "verifyTile",
    "commitTile",
    "setRange",
    "readRow",
    "multiply",
    "status",
  ]);
  const { multiply } = counts.commands;
  assert.equal([multiply?.requests, multiply?.refusals], [3 + LEARNING, 0]);
  assert.ok((multiply?.medianMs ?? 0) > 0 && (multiply?.p95Ms ?? 0) >= (multiply?.medianMs ?? 0));
});

test("a recording that was cut off is good up to there; anything else is not one", () => {
  const passage: Passage = { ms: 1.5, towards: "host", bytes: Uint8Array.of(0, 255) };
  assert.is(passageLine(passage), '[1.5,"host","00ff"]\n');
  assert.equal(parseRecording(`${passageLine(passage)}[2,"hos`), [passage]);
  for (const text of ["x\n", '[1,"host","0"]\n', '[1,"moon","00"]\n', '{"ms":1}\n']) {
    assert.throws(() => parseRecording(text), /line 1 of the recording/);
  }
});

test.run();
