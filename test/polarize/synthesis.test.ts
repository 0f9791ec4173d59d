import { suite } from "uvu";
import * as assert from "uvu/assert";
import { loadProfile } from "../../device-profiles/profiles.ts";
import { Reservoir } from "../../runtime/agent/reservoir.ts";
import { isFailure } from "../../runtime/base/failure.ts";
import { openTeacher } from "../../runtime/kernels/float.ts";
import { importModel } from "../../runtime/model/import.ts";
import { openPlan } from "../../runtime/plan/open.ts";
import { prepare } from "../../runtime/polarize/prepare.ts";
import { decodeSamples, encodeStatistics, isStatistics, type Samples } from "../../runtime/polarize/statistics.ts";
import { herd, statisticsOf, synthesize } from "../../runtime/polarize/synthesis.ts";
import { columnMeans } from "../../runtime/tensor/linear.ts";
import { encodeNpy } from "../../runtime/tensor/npy.ts";
import { releaseFile } from "../../tools/bearing/releases.ts";
import { bearingSamples } from "../../tools/bearing/samples.ts";
import { score } from "../../tools/model/eval/measure.ts";
import { readBytes } from "../../tools/model/inputs.ts";
import { normals } from "../support/random.ts";

const test = suite("synthesis");

const model = await readBytes(releaseFile("1.0.0").pathname);
const float = importModel(model, "bearing");
const real = bearingSamples(128, 3).inputs;
const statistics = await statisticsOf(float, real);
const size = statistics.means.length;
const profile = await loadProfile("raspberry-pi-4");

/** Relative error of the outputs on new samples, in four bits. */
async function errorWith(samples: Samples): Promise<number> {
  const quantization = { ...profile.quantization, weights: "nf4" } as const;
  const prepared = await prepare(
    { model, name: "bearing", samples, profile: { ...profile, quantization } },
    undefined,
    () => {},
  );
  const runner = await openPlan(prepared);
  const count = 128;
  const { data } = bearingSamples(count, 77).inputs;
  const teacher = await openTeacher(float);
  const { output } = await teacher.run(data, count);
  teacher.close();
  const answers = new Float32Array(output.length);
  for (let i = 0; i < count; i++) {
    runner.runSync(
      data.subarray(i * size, (i + 1) * size),
      answers.subarray(i * runner.outputLength, (i + 1) * runner.outputLength),
    );
  }
  return score(answers, output, count, undefined).outputError;
}

test("synthetic inputs calibrate nearly as well as real ones, noise does not", async () => {
  const [before, without] = [await errorWith(real), await errorWith(statistics)];
  const noise = await errorWith({ shape: real.shape, data: normals(real.data.length, 5) });
  assert.ok(without < 2 * before, `${without} against ${before}`);
  assert.ok(without < noise / 2, `${without} against ${noise} with noise`);
});

test("synthetic inputs have the means, deviations and range of the samples", async () => {
  const { data } = await synthesize(float, statistics, 256, 1);
  const means = columnMeans(data, 256, size);
  for (let j = 0; j < size; j++) {
    let [was, is] = [0, 0];
    for (let i = 0; i < 128; i++) was += (real.data[i * size + j] - statistics.means[j]) ** 2 / 128;
    for (let i = 0; i < 256; i++) is += (data[i * size + j] - means[j]) ** 2 / 256;
    assert.ok(Math.abs(means[j] - statistics.means[j]) < 0.35 * Math.sqrt(was), `${j}: ${means[j]}`);
    assert.ok(is > 0.4 * was && is < 1.6 * was, `${j}: ${is} for ${was}`);
    for (let i = 0; i < 256; i++) {
      assert.ok(data[i * size + j] >= statistics.lowest[j] && data[i * size + j] <= statistics.highest[j]);
    }
  }
});

test("the same seed gives the same inputs, another one others", async () => {
  const [a, b, c] = [
    await synthesize(float, statistics, 8, 1),
    await synthesize(float, statistics, 8, 1),
    await synthesize(float, statistics, 8, 2),
  ];
  assert.equal(a, b);
  assert.not.equal(a.data, c.data);
});

test("herding picks the rows whose mean is nearest", () => {
  const rows = Float32Array.of(0, 0, 10, 0, -9, 0, 0, 7, 1, -7);
  assert.equal(herd(rows, Float32Array.of(0.5, 0), 1), [0]);
  assert.equal(herd(rows, Float32Array.of(0.5, 0), 5).sort(), [0, 1, 2, 3, 4]);
  const [first, second] = herd(rows, Float32Array.of(5, 0), 2);
  assert.equal([first, second].sort(), [0, 1]);
});

test("a file of statistics is told from one of samples, and survives", () => {
  assert.equal(decodeSamples(encodeStatistics(statistics), "s"), statistics);
  assert.equal(decodeSamples(encodeNpy(real), "s"), real);
});

test("a damaged file of statistics is refused", () => {
  const file = encodeStatistics(statistics);
  for (const length of [12, 40, file.length - 4, file.length - 1]) {
    assert.throws(
      () => decodeSamples(file.slice(0, length), "s"),
      (error: unknown) => isFailure(error, "input/malformed"),
    );
  }
  const nan = Uint8Array.from(file);
  nan.set([0, 0, 0xc0, 0x7f], file.length - 4);
  assert.throws(() => decodeSamples(nan, "s"), /finite/);
});

test("statistics of another model are refused", async () => {
  const error = await synthesize(float, { ...statistics, moments: statistics.moments.slice(2) }, 8, 1).catch(
    (cause) => cause,
  );
  assert.ok(isFailure(error, "input/shape"), `${error}`);
});

test("half as many real inputs as are asked for replace statistics", () => {
  const reservoir = new Reservoir(16);
  for (let i = 0; i < 7; i++) reservoir.add(real.data.slice(i * size, (i + 1) * size));
  assert.is(reservoir.mix(statistics, 16), statistics);
  reservoir.add(real.data.slice(7 * size, 8 * size));
  const mixed = reservoir.mix(statistics, 16);
  if (isStatistics(mixed)) throw new Error("no real samples");
  assert.equal(mixed.shape, [8, ...statistics.shape]);
  assert.equal(mixed.data, real.data.slice(0, 8 * size));
});

test.run();
