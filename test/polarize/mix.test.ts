import { suite } from "uvu";
import * as assert from "uvu/assert";
import { entry } from "../../runtime/base/entry.ts";
import { isFailure } from "../../runtime/base/failure.ts";
import type { LoadKernels } from "../../runtime/kernels/kernels.ts";
import { loadWasm } from "../../runtime/kernels/wasm.ts";
import { isLayer } from "../../runtime/model/graph.ts";
import type { FormatName, PolarizedModel } from "../../runtime/model/stages.ts";
import { weightBytesOf } from "../../runtime/plan/weight-bytes.ts";
import { entropyOf } from "../../runtime/polarize/mix/entropy.ts";
import { type Latency, latencyOf } from "../../runtime/polarize/mix/latency.ts";
import { chooseMix } from "../../runtime/polarize/mix/mix.ts";
import { sensitivities } from "../../runtime/polarize/mix/sensitivity.ts";
import { polarize } from "../../runtime/polarize/polarize.ts";
import { decodeModel, encodeModel } from "../../runtime/quantize/file.ts";
import { storedBytes } from "../../runtime/quantize/format.ts";
import { formats } from "../../runtime/quantize/formats.ts";
import { prunedColumns } from "../../runtime/quantize/pruning.ts";
import { type Budget, type Mix, quantizeModel } from "../../runtime/quantize/quantize.ts";
import { sizeOf } from "../../runtime/tensor/tensor.ts";
import { randomModel, residualGraph } from "../support/models.ts";
import { naive } from "../support/naive.ts";
import { normals } from "../support/random.ts";

const test = suite("mix");

const SAMPLES = 16;
const float = randomModel(residualGraph, 7);
const observed = naive(float, normals(SAMPLES * sizeOf(residualGraph.input.shape), 3), SAMPLES);
const calibration = { float, observed, samples: SAMPLES, rank: 4, kernels: await loadWasm() };
const policy = { weights: "nf4", blockLength: 32, firstLayer: "int8", lastLayer: "int8", depthwise: "int8" } as const;
const weights = [...float.weights.values()].reduce((sum, layer) => sum + layer.weights.length, 0);

async function prepared(budget: Budget): Promise<PolarizedModel> {
  const mix = await chooseMix(calibration, { ...policy, budget });
  return polarize(quantizeModel(float, observed, policy, mix), { ...calibration, mix });
}

test("a layer loses more with fewer bits, and next to nothing with eight", async () => {
  for (const options of await sensitivities(calibration, policy, [0])) {
    const lossOf = (name: string): number => options.find(({ format }) => format === name)?.loss ?? Number.NaN;
    assert.ok(lossOf("int8") < 1e-4, `${options[0].layer}: ${lossOf("int8")}`);
    assert.ok(lossOf("int8") < lossOf("nf4"));
    if (options.some(({ format }) => format === "int2")) assert.ok(lossOf("nf4") < lossOf("int2"));
  }
});

test("where a path can carry columns, they are tried without bits as well, and prepared so", async () => {
  const options = (await sensitivities(calibration, policy, [0, 4])).flat();
  for (const { layer, format, blockLength, rank, pruned, weightBits } of options) {
    const whole = options.find(
      (other) =>
        [other.layer, other.format, other.blockLength, other.rank].join() ===
          [layer, format, blockLength, rank].join() && other.pruned.length === 0,
    );
    assert.ok(pruned.length <= 4 && (pruned.length === 0 || weightBits < (whole?.weightBits ?? 0)));
  }
  const [option] = options.filter(({ pruned, rank }) => pruned.length > 0 && rank === 4);
  const mix = new Map([[option.layer, option]]);
  const { layers } = polarize(quantizeModel(float, observed, policy, mix), { ...calibration, mix });
  assert.equal(prunedColumns(entry(layers, option.layer).matrix), option.pruned);
});

test("layers lose less with a higher rank, most clearly at few bits", async () => {
  const options = (await sensitivities(calibration, policy, [0, 4])).flat();
  const lossOf = (format: FormatName, rank: number): number =>
    options
      .filter((option) => option.format === format && option.blockLength === 32 && option.rank === rank)
      .reduce((sum, { loss }) => sum + loss, 0);
  for (const format of ["int3", "int2"] as const) assert.ok(lossOf(format, 4) < 0.8 * lossOf(format, 0), format);
});

test("a budget of bits per weight is kept and used", async () => {
  for (const bitsPerWeight of [3.5, 5]) {
    const model = await prepared({ bitsPerWeight });
    const { layers } = model;
    assert.equal([...decodeModel(encodeModel(model)).layers], [...layers]);
    const bytes = [...layers.values()].reduce(
      (sum, { format, matrix }) => sum + storedBytes(formats[format], matrix),
      0,
    );
    assert.ok((8 * bytes) / weights <= bitsPerWeight, `${(8 * bytes) / weights}`);
    assert.ok((8 * bytes) / weights > 0.9 * bitsPerWeight, `${(8 * bytes) / weights}`);
  }
});

test("a budget of bytes counts all that is stored", async () => {
  const whole = weightBytesOf(await prepared({ bitsPerWeight: 8.5 }));
  const half = await prepared({ bytes: whole / 2 });
  assert.ok(weightBytesOf(half) <= whole / 2);
  assert.equal([...decodeModel(encodeModel(half)).layers], [...half.layers]);
});

test("a budget of time is kept by giving up ranks where they cost time", async () => {
  const latency: Latency = { rest: 500, of: (_, { rank }) => 1000 + 100 * rank };
  const timeOf = (mix: Mix): number =>
    [...mix].reduce((sum, [layer, own]) => sum + latency.of(layer, own), latency.rest);
  const within = async (microseconds: number): Promise<Mix> =>
    (await chooseMix(calibration, { ...policy, budget: { microseconds } }, () => latency)) ?? new Map();
  const free = await within(1e6);
  const [least, whole] = [latency.rest + 1000 * free.size, timeOf(free)];
  assert.ok(whole > least);
  const tight = await within((least + whole) / 2000);
  assert.ok(timeOf(tight) <= (least + whole) / 2, `${timeOf(tight)}`);
  const error = await within(0.1).catch((cause: unknown) => cause);
  assert.ok(isFailure(error, "plan/does-not-fit"));
  assert.match(String(error), /the layers need [\d.]+ µs, the budget is 0.1 µs/);
});

test("a layer's time is the least of several, one for all formats of as many blocks, and what is no layer counts once", () => {
  let [nowMs, bound] = [0, 0];
  const run = (): void => {
    nowMs += nowMs < 5 ? 4 : 0.25;
  };
  const kernels: LoadKernels = (bytes) => ({
    ...calibration.kernels(bytes),
    bind: () => {
      bound++;
      return run;
    },
  });
  const { rest, of } = latencyOf({ ...calibration, kernels }, () => nowMs);
  const others = float.graph.nodes.filter((node) => !isLayer(node) && node.op !== "reshape");
  assert.is(rest, 250_000 * others.length);
  const [name] = [...float.weights.keys()];
  const before = bound;
  for (const format of ["nf4", "int2", "nf4"] as const)
    assert.is(of(name, { format, blockLength: 9, rank: 0 }), 250_000);
  assert.is(bound, before + 1);
  of(name, { format: "int8", blockLength: 9, rank: 0 });
  of(name, { format: "int8", blockLength: 9, rank: 1 });
  assert.is(bound, before + 3);
});

test("a budget that no format fits is refused with what is needed", async () => {
  const error = await prepared({ bitsPerWeight: 1 }).catch((cause: unknown) => cause);
  assert.ok(isFailure(error, "plan/does-not-fit"));
  assert.match(String(error), /the layers need .* bits each, the budget is 1.00/);
});

test("the entropy of codes: two equally frequent ones are one bit, one alone is none", () => {
  assert.is(entropyOf(Int8Array.of(-3, 1, -3, 1)), 1);
  assert.is(entropyOf(Int8Array.of(5, 5, 5)), 0);
});

test("by entropy a layer whose codes say little gives up its bits first, and no sample is looked at", async () => {
  const dull = new Float32Array(entry(float.weights, "wide").weights.length).fill(0.1);
  dull[0] = 1;
  const model = {
    ...float,
    weights: new Map(float.weights).set("wide", { ...entry(float.weights, "wide"), weights: dull }),
  };
  const blind = { ...calibration, float: model, observed: new Map(), samples: 0 };
  const mix = await chooseMix(blind, { ...policy, budget: { bitsPerWeight: 4 }, criterion: "eagl" });
  const bitsOf = (layer: string): number => formats[mix?.get(layer)?.format ?? "int8"].bits;
  assert.ok(bitsOf("wide") < bitsOf("stem"), `${bitsOf("wide")}, ${bitsOf("stem")}`);
});

test("without a budget nothing is chosen", async () => {
  assert.is(await chooseMix(calibration, policy), undefined);
});

test.run();
