import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { DeviceProfile } from "../../device-profiles/device.ts";
import { loadProfile } from "../../device-profiles/profiles.ts";
import type { Preparation } from "../../runtime/agent/ports.ts";
import { workerPreparer } from "../../runtime/agent/preparer.ts";
import { Failure, isFailure } from "../../runtime/base/failure.ts";
import type { Progress } from "../../runtime/fleet/topics.ts";
import type { Accelerator } from "../../runtime/plan/unit.ts";
import { rejection } from "../support/until.ts";

const test = suite("preparer");
const pi: DeviceProfile = await loadProfile("raspberry-pi-4");
const profile = { ...pi, calibration: { ...pi.calibration, maxBytes: 200 * 2 ** 20 } };
const probes = { shape: [1, 2], data: Float32Array.of(7, 8) };
const job = (what: number): Preparation => ({
  model: Uint8Array.of(what),
  name: "m",
  samples: probes,
  probes,
  unit: "digital",
});

const accelerator: Accelerator = {
  place: async (layers) => ({
    name: "fake",
    uid: "chip-7",
    layers: new Set(layers.map(({ name }) => name)),
    async multiply(layer, inputs) {
      if (layer !== "conv") throw new Failure("bridge/refused", `no layer ${layer}`);
      return Float32Array.of((inputs[0] ?? 0) + (inputs[1] ?? 0));
    },
    nominal: async () => Float32Array.of(0.5, 0.25),
  }),
};

const preparer = workerPreparer(profile, accelerator, new URL("../support/preparation-stub.ts", import.meta.url));
const never = new AbortController().signal;

test("what the worker made comes back, and its progress", async () => {
  const heard: Progress[] = [];
  const prepared = await preparer.prepare(job(0), (progress) => heard.push(progress), never);
  assert.equal([...prepared.model], [0]);
  assert.equal(prepared.answers, probes.data);
  assert.equal(heard, [{ stage: "import", done: 0, of: 1 }]);
});

test("its failures keep their code and detail", async () => {
  const error = await rejection(preparer.prepare(job(1), () => undefined, never));
  assert.ok(isFailure(error, "import/unsupported-operator"));
  assert.equal([error.message, error.detail], ["operator Foo", { node: "n1" }]);
});

for (const [what, name] of [
  [2, "that ends without a word"],
  [3, "that takes more memory than the profile allows"],
  [6, "that takes it outside of the heap"],
] as const) {
  test(`a worker ${name} is a failure, not the end of the agent`, async () => {
    const error = await rejection(preparer.prepare(job(what), () => undefined, never));
    assert.ok(isFailure(error, "calibration/aborted"), String(error));
  });
}

test("a worker that hangs is killed when its time is over", async () => {
  const controller = new AbortController();
  const over = new Failure("job/timed-out", "too slow");
  const preparing = preparer.prepare(job(4), () => controller.abort(over), controller.signal);
  assert.is(await rejection(preparing), over);
  assert.is(await rejection(preparer.prepare(job(0), () => undefined, controller.signal)), over);
});

test("the worker reaches the accelerator through the main thread", async () => {
  const heard: string[] = [];
  const prepared = await preparer.prepare(job(5), ({ stage }) => heard.push(stage), never);
  assert.is(new TextDecoder().decode(prepared.model), "chip-7 conv");
  assert.equal([...prepared.answers], [7, 0.5, 0.25]);
  assert.match(heard.at(-1) ?? "", /no layer other.*bridge\/refused/);
});

test.run();
