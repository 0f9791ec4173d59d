import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { entry } from "../../runtime/base/entry.ts";
import { isFailure } from "../../runtime/base/failure.ts";
import { importModel } from "../../runtime/model/import.ts";
import { openModel } from "../../runtime/open-model.ts";
import { decodeModel } from "../../runtime/quantize/file.ts";
import { dequantizeMatrix } from "../../runtime/quantize/format.ts";
import { bench } from "../../tools/bench/bench.ts";
import { benchChart, benchText } from "../../tools/bench/command.ts";
import { gemvContenders, layerOf } from "../../tools/bench/gemv.ts";
import { Lane } from "../../tools/bench/lane.ts";
import { barChart } from "../../tools/cli/bar-chart.ts";

const test = suite("bench");

const model = "tools/bearing/bearing-1.0.0.onnx";
const once = { profile: "raspberry-pi-4", processes: 1, rounds: 1 };

test("both formats are timed in processes of their own, and compared", async () => {
  const seen: string[] = [];
  const report = await bench(model, once, (done, of) => seen.push(`${done}/${of}`));
  assert.equal(
    report.runs.map(({ name }) => name),
    ["polaredge int8", "polaredge nf4 rank 8", "bare node"],
  );
  for (const { name, minUs, medianUs, p999Us, tail, floor, rssMb, coldMs } of report.runs) {
    assert.ok(minUs >= 0 && minUs <= medianUs && medianUs <= p999Us, name);
    assert.is(tail, p999Us / medianUs);
    assert.ok(floor >= 1, `${name}: ${floor}`);
    assert.ok(rssMb > 10 && coldMs > 10, `${name}: ${rssMb} MB, ${coldMs} ms`);
  }
  const [int8, nf4] = report.runs;
  assert.equal(report.ratios, {
    "polaredge nf4 rank 8": { min: nf4.minUs / int8.minUs, median: nf4.medianUs / int8.medianUs },
  });
  const { min, median } = report.stepNs;
  assert.ok(min > 1 && min <= median && median < 1000, `${min}, ${median} ns`);
  assert.equal(seen, ["0/1"]);
  const text = benchText(report);
  assert.match(text, /polaredge int8 .*█/);
  assert.match(text, /bare node/);
  assert.match(text, new RegExp(`step of a plan takes ${min.toFixed(1)} ns`));
  const svg = barChart(benchChart(report));
  const widths = [...svg.matchAll(/<rect x="[\d.]+".* width="([\d.]+)"/g)].map(([, width]) => Number(width));
  assert.is(widths.length, 2);
  assert.ok(Math.abs(widths[1] / widths[0] / (nf4.medianUs / int8.medianUs) - 1) < 0.01, `${widths}`);
  assert.match(svg, new RegExp(`>${nf4.medianUs.toFixed(1)} µs, x `));
});

test("an engine that can't run its file says why", async () => {
  const lane = Lane.open({ name: "ours", engine: "polaredge", file: "package.json" });
  const error = await lane.catch((reason: unknown) => reason);
  assert.ok(isFailure(error, "input/malformed"), String(error));
  assert.match((error as Error).message, /ours can't run package.json: .*POLR/);
});

test("an unknown format is refused before anything is measured", async () => {
  const error = await bench(model, { ...once, format: "int5" }, () => undefined).catch((reason: unknown) => reason);
  assert.ok(isFailure(error, "input/malformed"), String(error));
});

const folder = mkdtempSync(join(tmpdir(), "polaredge-gemv-"));
test.after(() => rmSync(folder, { recursive: true }));

test("one layer: ours is a model that multiplies, the others' files are their operators", async () => {
  const contenders = await gemvContenders(layerOf("64x24"), folder);
  const [own, ...peers] = contenders;
  const runner = await openModel(own.file);
  assert.equal(
    [runner.input.shape, runner.output.shape],
    [
      [1, 64],
      [1, 24],
    ],
  );
  const prepared = decodeModel(readFileSync(own.file));
  const weights = dequantizeMatrix(entry(prepared.layers, "y").matrix);
  const x = Float32Array.from({ length: 64 }, (_, i) => (8 / 255) * ((i * 7) % 100));
  const expected = Array.from({ length: 24 }, (_, j) =>
    x.reduce((sum, value, k) => sum + value * weights[k * 24 + j], 0),
  );
  for (const [j, y] of runner.runSync(x).entries()) assert.ok(Math.abs(y - expected[j]) < 1e-3, `${y}, ${expected[j]}`);
  for (const { name, file } of peers) {
    const [, operator = ""] = name.split(" ");
    const bytes = readFileSync(file);
    if (operator === "Identity") assert.is(importModel(bytes, "x.onnx").graph.input.name, "x");
    else assert.ok(bytes.includes(operator) && bytes.includes("com.microsoft"), name);
  }
});

test("a layer is rows by columns, in whole blocks of rows", () => {
  for (const text of ["640", "0x5", "33x8", "640x128x2", "axb"]) {
    assert.throws(
      () => layerOf(text),
      (error: unknown) => isFailure(error, "input/malformed"),
    );
  }
});

test.run();
