import { readFile } from "node:fs/promises";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { loadProfile } from "../../device-profiles/profiles.ts";
import { openAccelerator } from "../../firmware-bridge/open.ts";
import { openTeacher } from "../../runtime/kernels/float.ts";
import { importModel } from "../../runtime/model/import.ts";
import type { Correction, DriftLevel, LowRank, PolarizedModel } from "../../runtime/model/stages.ts";
import type { MatmulUnit } from "../../runtime/plan/unit.ts";
import { interpolated, remembered, restored } from "../../runtime/polarize/levels.ts";
import { unitLayersOf } from "../../runtime/polarize/placement.ts";
import { polarizeAccelerator } from "../../runtime/polarize/polarize.ts";
import { calibrationOf, lowered } from "../../runtime/polarize/prepare.ts";
import { recoverySteps } from "../../runtime/polarize/recovery.ts";
import { decodeModel, encodeModel } from "../../runtime/quantize/file.ts";
import { quantizeMatrix } from "../../runtime/quantize/format.ts";
import { formats } from "../../runtime/quantize/formats.ts";
import { product } from "../../runtime/tensor/products.ts";
import { releaseFile } from "../../tools/bearing/releases.ts";
import { bearingSamples } from "../../tools/bearing/samples.ts";
import { answersOf } from "../../tools/model/eval/analog.ts";
import { score } from "../../tools/model/eval/measure.ts";
import { normals } from "../support/random.ts";

const test = suite("levels");
const MONTH = 30 * 86_400;
const PROBES = 192;
const quiet = (): void => {};

const bytes = new Uint8Array(await readFile(releaseFile("1.0.0")));
const float = importModel(bytes, "bearing");
const profile = await loadProfile("raspberry-pi-4");
const { inputs: samples } = bearingSamples(32, 5);
const { inputs: probes } = bearingSamples(PROBES, 6);
const basis = await calibrationOf(float, { model: bytes, name: "bearing", samples, profile }, quiet);
const teacher = await openTeacher(float);
const truth = (await teacher.run(probes.data, PROBES)).output;
teacher.close();
const device = await openAccelerator("emulator:sram-bitplane-64x64?seed=7");
test.after(() => device.close());

test("cells that are programmed again and drift as before are corrected as before, without a sample", async () => {
  const digital = await lowered(basis, profile.quantization, quiet);
  const unit = await device.place(unitLayersOf(digital, basis));
  const errorOf = async (model: PolarizedModel): Promise<number> =>
    score(await answersOf(model, unit, probes.data, PROBES, quiet), truth, PROBES, undefined).outputError;
  const drift = async (seconds: number): Promise<void> => {
    device.emulated?.chip.age(seconds);
    await unit.trim();
  };
  const stepOf = (name: string, model: PolarizedModel) =>
    recoverySteps({ model, unit }, basis, {
      renewed: () => unit.reprogram().then(() => unit),
      anew: () => Promise.reject(new Error("not asked for")),
    }).find(({ step }) => step === name);

  const fresh = await polarizeAccelerator(digital, basis, unit);
  await drift(MONTH);
  assert.is(await stepOf("known level", fresh)?.work(), undefined, "it has never been there");
  const trimmed = await errorOf(fresh);
  const refitted = await polarizeAccelerator(fresh, basis, unit);
  const fitted = await errorOf(refitted);
  assert.ok(fitted < 0.95 * trimmed, `${trimmed} -> ${fitted}`);

  const kept = decodeModel(encodeModel(refitted));
  assert.equal(kept.accelerator, refitted.accelerator);
  const again = await stepOf("as when fresh", kept)?.work();
  assert.equal(again?.model.layers, fresh.layers);
  await drift(MONTH);
  const known = await stepOf("known level", again?.model ?? fresh)?.work();
  assert.equal(known?.model.layers, refitted.layers);
  const back = await errorOf(known?.model ?? fresh);
  assert.ok(back < 0.98 * trimmed, `${trimmed} -> ${back}, fitted ${fitted}`);
  await drift(120 * MONTH);
  assert.is(restored(kept, unit), undefined, "ten years are another level");
});

test("on the way from one known level to another, corrections lie between theirs", () => {
  const [rows, columns] = [6, 4];
  const levelOf = (strengths: readonly number[], value: number, surrogate?: LowRank): DriftLevel => {
    const all = new Float32Array(columns).fill(value);
    return { strengths, corrections: new Map([["a", { gain: all, bias: all, surrogate }]]) };
  };
  const path = { rank: 1, a: normals(rows, 1), b: normals(columns, 2) };
  const levels = [levelOf([0.64, 0.49], 2, path), levelOf([1, 1], 1)];
  const matrix = quantizeMatrix(formats.nf4, normals(rows * columns, 3), columns, 32);
  const digital = { gain: new Float32Array(columns), bias: new Float32Array(columns), surrogate: undefined };
  const model: PolarizedModel = {
    stage: "polarized",
    graph: float.graph,
    ranges: new Map(),
    layers: new Map([["a", { format: "nf4", matrix, digital, accelerator: undefined }]]),
    accelerator: { uid: "x", levels },
  };
  const at = (strengths: readonly number[], uid = "x"): Correction | undefined =>
    interpolated(model, unitOf(uid, strengths))?.layers.get("a")?.accelerator;
  const half = at([0.8, 0.7]);
  assert.ok(half?.surrogate && [...half.gain, ...half.bias].every((value) => Math.abs(value - 1.5) < 1e-6));
  const [whole, found] = [path, half.surrogate].map(({ rank, a, b }) => product(a, b, rows, rank, columns));
  for (const [i, value] of found.entries()) assert.ok(Math.abs(value - 0.5 * whole[i]) < 1e-6);
  assert.is(at([1.01, 0.99]), undefined, "it is at a known one");
  assert.is(at([0.5, 0.4]), undefined, "it is beyond both");
  assert.is(at([0.7, 0.8]), undefined, "drift would not lead there");
  assert.is(at([0.8, 0.7], "y"), undefined, "another chip");
});

function unitOf(uid: string, strengths: readonly number[]): MatmulUnit {
  const idle = (): never => {
    throw new Error("nothing is multiplied");
  };
  return { name: "idle", uid, strengths, layers: new Set(), multiply: idle, nominal: idle };
}

test("one level near another takes its place, few are kept, and that of fresh cells is", () => {
  const layers = new Map();
  let model: Pick<PolarizedModel, "accelerator"> = { accelerator: undefined };
  const add = (uid: string, strength: number): number[] => {
    const levels = remembered(model, { uid, strengths: [strength, strength] }, layers);
    model = { accelerator: { uid, levels } };
    return levels.map(({ strengths }) => strengths[0]);
  };
  assert.equal(add("a", 1), [1]);
  assert.equal(add("a", 0.6), [1, 0.6]);
  assert.equal(add("a", 0.59), [1, 0.59]);
  assert.equal([0.5, 0.4, 0.3].map((strength) => add("a", strength)).at(-1), [1, 0.5, 0.4, 0.3]);
  assert.equal(add("a", 0.99), [0.5, 0.4, 0.3, 0.99]);
  assert.equal(add("b", 0.5), [0.5], "another chip has levels of its own");
  assert.equal(remembered(model, { uid: "b", strengths: undefined }, layers), model.accelerator?.levels);
});

test.run();
