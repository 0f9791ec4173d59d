import { mkdtempSync, rmSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { readProfile } from "../../device-profiles/profiles.ts";
import { encodeNpy } from "../../runtime/tensor/npy.ts";
import { releaseFile } from "../../tools/bearing/releases.ts";
import { bearingSamples } from "../../tools/bearing/samples.ts";
import { type EvalOptions, evaluate } from "../../tools/model/eval/evaluate.ts";
import type { EvalReport } from "../../tools/model/eval/report.ts";
import { evalText } from "../../tools/model/eval/text.ts";

const test = suite("eval");

const folder = mkdtempSync(join(tmpdir(), "polaredge-eval-"));
/** Enough to tell corrections apart, and few for what is slow. */
const many = { inputs: join(folder, "many.x.npy"), labels: join(folder, "many.y.npy") };
const few = { inputs: join(folder, "few.x.npy"), labels: join(folder, "few.y.npy") };

test.before(async () => {
  for (const [count, files] of [
    [32 + 400, many],
    [16 + 24, few],
  ] as const) {
    const { inputs, labels } = bearingSamples(count, 5);
    await writeFile(files.inputs, encodeNpy(inputs));
    await writeFile(files.labels, encodeNpy({ shape: [count], data: Float32Array.from(labels) }, "u1"));
  }
});
test.after(() => rmSync(folder, { recursive: true }));

const asked: EvalOptions = {
  ...few,
  profile: "raspberry-pi-4",
  age: "0s",
  seed: 1,
  draws: 1,
  devices: 1,
  samples: 16,
};
const evaluated = (options: Partial<EvalOptions>): Promise<EvalReport> =>
  evaluate(releaseFile("1.0.0").pathname, { ...asked, ...options }, () => {});

test("at the same formats, rank and samples our correction beats every other one", async () => {
  const report = await evaluated({ ...many, bitsBudget: 3, compare: true, distill: 1, samples: 32 });
  const { compared, quantized, calibrationParts, calibrationSeconds } = report;
  assert.equal(
    compared.map(({ name }) => name),
    ["SVD", "LQER", "QERA-approx", "NPP-style"],
  );
  const eightBits = await evaluated({ format: "int8" });
  assert.ok(quantized.outputError > 3 * eightBits.quantized.outputError, `${quantized.outputError}`);
  for (const { name, score } of compared) {
    assert.ok(score.outputError < quantized.outputError, `${name} repairs nothing`);
    assert.ok(score.outputError > eightBits.quantized.outputError, `${name} has the formats that were chosen`);
    assert.ok(report.corrected.outputError < score.outputError, `${name}: ${score.outputError}`);
  }
  assert.match(evalText(report), /QERA-approx, [\d.]+ s[\s\S]*mix corrected, [\d.]+ s[\s\S]* to distill/);
  const { observe, choose, quantize, fit, distill } = calibrationParts;
  assert.ok(observe > 0 && choose > 0 && quantize > 0 && fit > 0 && distill > 0);
  assert.ok(Math.abs(observe + choose + quantize + fit + distill - calibrationSeconds) < 1e-6);
});

test("draws differ, and the score is their mean", async () => {
  const { draws, corrected } = await evaluated({ format: "int3", draws: 2 });
  assert.is(draws.length, 2);
  assert.is.not(draws[0].outputError, draws[1].outputError);
  assert.ok(Math.abs(corrected.outputError - (draws[0].outputError + draws[1].outputError) / 2) < 1e-12);
});

test("a budget gives layers their own formats, and the report shows them", async () => {
  const report = await evaluated({ bitsBudget: 4 });
  assert.ok(report.bitsPerWeight <= 4 && report.bitsPerWeight > 3.6, `${report.bitsPerWeight}`);
  assert.ok(new Set(report.layers.map(({ format }) => format)).size > 1);
  assert.match(evalText(report), /mix corrected/);
  const within = (microseconds: number): string => evalText({ ...report, budget: { microseconds } });
  assert.match(within(1e6), /on this machine: the budget of 1000000 µs is kept/);
  assert.match(within(0.01), /on this machine: the budget of 0.01 µs is missed by [\d.]+ %/);
});

test("gates save products of bits, and report which answers that costs", async () => {
  const { gates, corrected } = await evaluated({ ...many, gate: 6, gateBudget: 0.05 });
  if (!gates) throw new Error("nothing was gated");
  assert.is(gates.safe.score.agreement, corrected.agreement);
  assert.ok(gates.safe.savedPct > 0 && gates.budget.savedPct > gates.safe.savedPct);
  assert.match(evalText(await evaluated({ gate: 6 })), /gates, 6 bits first/);
});

test("gates on tiles: safe ones change no answer of exact tiles; what planes they save and the link pays is reported", async () => {
  const report = await evaluated({ accelerator: "ideal", gate: 6, gateBudget: 1 });
  const { whole, safe, budget } = report.tileGates ?? {};
  assert.equal(safe?.score, whole?.score);
  assert.ok(safe?.layers.every(({ sparsity }) => sparsity > 0));
  assert.ok(budget && budget.share === 0.9 && budget.savedPlanesPct > 1, `${budget?.savedPlanesPct} %`);
  assert.ok(safe && whole && safe.linkBytes > budget.linkBytes && budget.linkBytes > whole.linkBytes);
  assert.match(evalText(report), /gates on tiles, 6 bits first[\s\S]* more; agreement/);
  const plain = await evaluated({ accelerator: "ideal" });
  assert.equal([plain.tileGates, plain.analog?.energy], [null, null]);
});

test("a chart shows what bits buy, and what time takes", async () => {
  const bits = (await evaluated({ ...many, chart: "bits.svg" })).curve;
  assert.equal(
    bits?.series.map(({ name }) => name),
    ["float", "quantized and corrected", "quantized"],
  );
  const [, corrected, quantized] = (bits?.series ?? []).map(({ points }) => points.map(([, share]) => share));
  assert.ok(corrected[0] > quantized[0], "two bits");
  const time = (await evaluated({ chart: "time.svg", accelerator: "sram-bitplane-64x64" })).curve;
  assert.is(time?.labels?.length, time?.series[0].points.length);
  const [, recalibrated, stale] = (time?.series ?? []).map(({ points }) => points[points.length - 1][1]);
  assert.ok(recalibrated > stale, `${recalibrated} against ${stale} after ten years`);
});

test("the Pareto curve goes from the smallest mix to the best one", async () => {
  const report = await evaluated({ pareto: true });
  const points = report.pareto ?? [];
  assert.ok(points.length > 3);
  for (const [i, { weightBytes }] of points.entries()) {
    if (i > 0) assert.ok(weightBytes >= points[i - 1].weightBytes, `${weightBytes}`);
  }
  const [smallest, best] = [points[0], points[points.length - 1]];
  assert.ok(smallest.weightBytes < 0.6 * best.weightBytes, `${smallest.weightBytes} of ${best.weightBytes} bytes`);
  const [worst, least] = [smallest, best].map(({ score }) => score.outputError);
  assert.ok(least < 0.5 * worst, `${least} against ${worst}`);
  assert.match(evalText(report), /stored\s+bits/);
});

test("devices differ, and the score is their mean; energy is told as modelled", async () => {
  const report = await evaluated({ accelerator: "sram-bitplane-64x64", devices: 2 });
  const { analog, energy } = report;
  if (!analog) throw new Error("nothing analog was measured");
  assert.is(analog.devices.length, 2);
  const [first, second] = analog.devices;
  assert.is.not(first.outputError, second.outputError);
  assert.ok(Math.abs(analog.corrected.outputError - (first.outputError + second.outputError) / 2) < 1e-12);
  const parts = [energy?.mainMicrojoules, energy?.surrogateMicrojoules, energy?.bytesMicrojoules].map(Number);
  assert.ok(Math.abs(Number(energy?.microjoules) - parts[0] - parts[1] - parts[2]) < 1e-9);
  assert.ok(Number(analog.energy?.teraOpsPerWatt) > Number(energy?.teraOpsPerWatt));
  assert.match(evalText(report), /on tiles {5}[\d.]+ µJ, modelled[\s\S]*energy {7}[\d.]+ µJ, modelled: .* TOPS\/W\n/);
});

test("an aged accelerator: each step of the recovery has its score and its cost", async () => {
  const report = await evaluated({ accelerator: "sram-bitplane-64x64", age: "1y" });
  const recovery = report.analog?.recovery ?? [];
  const [stale, gains, columns, lowRank, higher, again, fresh] = recovery.map(({ score }) => score.outputError);
  assert.ok(gains < 0.3 * stale && columns < 0.3 * stale, `${stale} -> ${gains}, ${columns}`);
  assert.ok(lowRank < columns && fresh < columns, `${columns} -> ${lowRank}, ${fresh}`);
  assert.ok(higher < 1.1 * lowRank, `${lowRank} -> ${higher}`);
  assert.ok(again < 1.1 * fresh, `as when fresh ${again}, fitted anew ${fresh}`);
  const extra = recovery.map(({ extraMacsPct }) => extraMacsPct);
  assert.ok(extra[4] > extra[3] && extra[4] <= 75 && extra[6] === extra[3], `extra MACs ${extra}`);
  assert.equal(
    recovery.map(({ samples, programs }) => samples > 0 || programs > 0),
    [false, false, true, true, true, true, true],
  );
  assert.ok(recovery[0].products === 0 && recovery.slice(1).every(({ products }) => products > 0));
  assert.equal([recovery[5].samples, recovery[5].programs], [0, recovery[6].programs]);
  assert.is(report.analog?.corrected.outputError, higher);
  const { placed, calibrated } = report.analog ?? {};
  const costs = [placed, calibrated, ...recovery.slice(1)];
  assert.ok(costs.every((cost) => (cost?.linkBytes ?? 0) > 1000 && (cost?.linkSeconds ?? 0) > 0.01));
  assert.is(recovery[0].linkBytes < 100, true, "nothing was asked to go on as before");
  assert.match(evalText(report), /recovery from drift/);
  assert.ok((calibrated?.fitSeconds ?? 0) < (calibrated?.linkSeconds ?? 0), "the fit takes less than the link");
  assert.match(evalText(report), /on the link, \d+\.\d s for the fit: dominated by the link, \d+\.\d %/);
});

test("a narrow accumulator: what sums take at most, and which layers are split for it", async () => {
  const given = JSON.parse(await readProfile("ideal"));
  const file = join(folder, "narrow.json");
  const converter = { ...given.converter, accumulatorBits: 18 };
  await writeFile(file, JSON.stringify({ ...given, converter }));
  const [wide, narrow] = [await evaluated({ accelerator: "ideal" }), await evaluated({ accelerator: file })];
  const bitsOf = ({ analog }: EvalReport): number =>
    Math.max(...(analog?.accumulators.layers ?? []).map(({ bits }) => bits));
  assert.ok(bitsOf(wide) > 18 && bitsOf(narrow) <= 18, `${bitsOf(wide)}, ${bitsOf(narrow)} bits`);
  assert.match(evalText(wide), /accumulators 32 bits, sums take \d+ at most .*: none overflows; split for that: none/);
  assert.match(evalText(narrow), /accumulators 18 bits, .*; split for that: \S+ into \d+ \(1\)/);
});

test("sigma is how much the accelerator's cells differ", async () => {
  const [calm, wild] = await Promise.all(
    [0.02, 0.3].map((sigma) => evaluated({ accelerator: "sram-bitplane-64x64", sigma })),
  );
  assert.ok((calm.analog?.corrected.outputError ?? 1) < (wild.analog?.corrected.outputError ?? 0));
  assert.is(await evaluated({ accelerator: "ideal", sigma: 0.1 }).catch(({ code }) => code), "input/malformed");
});

test.run();
