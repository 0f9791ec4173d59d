import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { AcceleratorProfile } from "../../device-profiles/accelerator.ts";
import { loadAcceleratorProfile } from "../../device-profiles/profiles.ts";
import { driftExponent, pcmCells, programmingSigma, readSigma } from "../../firmware-bridge/emulator/pcm.ts";
import { reramCells, spreadSigma } from "../../firmware-bridge/emulator/reram.ts";
import { sramCells } from "../../firmware-bridge/emulator/sram.ts";
import { maxLevel, planeCount } from "../../firmware-bridge/tiles/planes.ts";
import { moments, near } from "../support/statistics.ts";

const test = suite("cells");
const [sram, pcm] = await Promise.all(["sram-bitplane-64x64", "pcm-256x256"].map(loadAcceleratorProfile));
const fresh = { ageSeconds: 0, temperatureC: 25 };
const old = (ageSeconds: number) => ({ ageSeconds, temperatureC: 25 });

const cellsOf = (profile: AcceleratorProfile, value: number): Float32Array =>
  new Float32Array(profile.array.rows * profile.array.columns * planeCount(profile.array)).fill(value);

test("sram: fresh cells are the target times N(1, sigma); without cells there is nothing", () => {
  if (sram.cells.model !== "sram") throw new Error("another model");
  const cells = sramCells(sram, sram.cells, 1);
  for (const target of [1, -1]) {
    const { mean, sigma } = moments(cells.conductances(cellsOf(sram, target), 1, fresh));
    near(mean, target, 0.01, "mean");
    near(sigma, 0.1, 0.03, "sigma");
  }
  assert.ok(cells.conductances(cellsOf(sram, 0), 1, old(1e6)).every((g) => g === 0));
});

test("sram: log conductance falls by nu ln(t / t0), nu from N(0.05, 0.02), and not before t0", () => {
  if (sram.cells.model !== "sram") throw new Error("another model");
  const cells = sramCells(sram, sram.cells, 2);
  const at = (age: number): Float32Array => cells.conductances(cellsOf(sram, 1), 1, old(age));
  const begin = at(60);
  assert.equal(at(0), begin);
  for (const age of [3600, 86400, 31_557_600]) {
    const exponents = at(age).map((g, i) => -Math.log(g / begin[i]) / Math.log(age / 60));
    const { mean, sigma } = moments(exponents);
    near(mean, 0.05, 0.02, "mean exponent");
    near(sigma, 0.02, 0.03, "sigma of the exponent");
  }
});

test("sram: mismatch belongs to the chip, not to what is programmed", () => {
  if (sram.cells.model !== "sram") throw new Error("another model");
  const [a, b, other] = [1, 1, 2].map((seed) => {
    if (sram.cells.model !== "sram") throw new Error("another model");
    return sramCells(sram, sram.cells, seed);
  });
  const ones = cellsOf(sram, 1);
  assert.equal(a.conductances(ones, 1, fresh), b.conductances(ones, 5, fresh));
  assert.not.equal(a.conductances(ones, 1, fresh), other.conductances(ones, 1, fresh));
});

// aihwkit, src/aihwkit/inference/noise/pcm.py, evaluated by hand at g / gMax = 0, 0.5 and 1
test("pcm: the formulas give aihwkit's numbers", () => {
  near(programmingSigma(0, 25), 0.26348, 1e-12, "programming at 0");
  near(programmingSigma(0.5, 25), 0.26348 + 1.965 / 2 - 1.1731 / 4, 1e-12, "programming at 1/2");
  near(programmingSigma(1, 12.5), (0.26348 + 1.965 - 1.1731) / 2, 1e-12, "programming at 1, half the range");
  assert.equal(driftExponent(1), { mean: 0.049, sigma: 0.008 });
  assert.equal(driftExponent(0), { mean: 0.1, sigma: 0.045 });
  near(driftExponent(0.1).mean, 0.0155 * Math.LN10 + 0.0244, 1e-12, "mean exponent at 1/10");
  near(driftExponent(0.1).sigma, 0.0125 * Math.LN10 - 0.0059, 1e-12, "sigma of the exponent at 1/10");
  near(readSigma(1, 20), 0.0088 * Math.sqrt(Math.log((20 + 250e-9) / 500e-9)), 1e-12, "reading at 1");
  near(readSigma(0, 20), 0.2 * Math.sqrt(Math.log((20 + 250e-9) / 500e-9)), 1e-12, "reading at 0 is capped");
});

for (const share of [0.25, 0.5, 1]) {
  test(`pcm: programmed to ${share} of the range, cells have the formula's mean and deviation`, () => {
    if (pcm.cells.model !== "pcm") throw new Error("another model");
    const level = share * maxLevel(pcm.array);
    const values = pcmCells(pcm, pcm.cells, 3).conductances(cellsOf(pcm, level), 1, fresh);
    const us = moments(values.map((units) => (units * 25) / maxLevel(pcm.array)));
    // The other side of the pair is cut off at zero: half a normal distribution, its mean sigma / sqrt(2 pi).
    near(us.mean, 25 * share - programmingSigma(0, 25) / Math.sqrt(2 * Math.PI), 0.005, "mean");
    const made = programmingSigma(share, 25);
    const read = 25 * share * readSigma(share, 20);
    near(us.sigma, Math.hypot(made, read, 0.58 * programmingSigma(0, 25)), 0.03, "sigma");
  });
}

test("pcm: programming again draws again, and a year costs what the drift exponent says", () => {
  if (pcm.cells.model !== "pcm") throw new Error("another model");
  const cells = pcmCells(pcm, pcm.cells, 4);
  const full = cellsOf(pcm, maxLevel(pcm.array));
  assert.not.equal(cells.conductances(full, 1, fresh), cells.conductances(full, 2, fresh));
  assert.equal(cells.conductances(full, 1, fresh), cells.conductances(full, 1, fresh));
  const year = 31_557_600;
  const kept = moments(cells.conductances(full, 1, old(year))).mean / moments(cells.conductances(full, 1, fresh)).mean;
  near(kept, ((year + 20) / 20) ** -0.049, 0.02, "conductance after a year");
});

/** Every plane read once, with the steps as they are. */
test("reram: the formulas give aihwkit's numbers at the measured times, and what is between them in between", () => {
  near(spreadSigma(0, 1, 40), 0.348, 1e-12, "fresh, at 0");
  near(spreadSigma(1, 1, 40), 0.348 + 16.03 - 43.853 + 45.393 - 16.815, 1e-12, "fresh, at 1");
  const half = 0.701 + 22.086 / 2 - 50.773 / 4 + 47.095 / 8 - 16.458 / 16;
  near(spreadSigma(0.5, 86_400, 40), half, 1e-12, "after a day, at 1/2");
  near(spreadSigma(0, 172_800, 20), 0.782 / 2, 1e-12, "after two days, half the range");
  assert.is(spreadSigma(0.3, 0, 40), spreadSigma(0.3, 1, 40));
  assert.is(spreadSigma(0.3, 1e9, 40), spreadSigma(0.3, 172_800, 40));
  near(spreadSigma(0, 86_400 ** 0.5, 40), (0.348 + 0.701) / 2, 1e-12, "half way in the logarithm");
});

for (const [share, ageSeconds] of [
  [0.25, 0],
  [0.5, 86_400],
  [1, 3600],
] as const) {
  test(`reram: ${ageSeconds} s after programming to ${share} of the range, cells have the formula's moments`, async () => {
    const reram = await loadAcceleratorProfile("reram-256x256");
    if (reram.cells.model !== "reram") throw new Error("another model");
    const cells = reramCells(reram, reram.cells, 5);
    const levels = cellsOf(reram, share * maxLevel(reram.array));
    const units = cells.conductances(levels, 1, old(ageSeconds));
    const us = moments(units.map((value) => (value * 40) / maxLevel(reram.array)));
    // The other side of the pair is cut off at zero: half a normal distribution.
    const zero = spreadSigma(0, ageSeconds, 40);
    near(us.mean, 40 * share - zero / Math.sqrt(2 * Math.PI), 0.005, "mean");
    near(us.sigma, Math.hypot(spreadSigma(share, ageSeconds, 40), 0.58 * zero), 0.03, "sigma");
    assert.equal(cells.conductances(levels, 1, old(ageSeconds)), units);
    assert.not.equal(cells.conductances(levels, 2, old(ageSeconds)), units);
  });
}

test.run();
