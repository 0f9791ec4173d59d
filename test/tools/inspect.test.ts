import { mkdtempSync, rmSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { loadProfile } from "../../device-profiles/profiles.ts";
import { prepare } from "../../runtime/polarize/prepare.ts";
import { encodeModel } from "../../runtime/quantize/file.ts";
import { bearingSamples } from "../../tools/bearing/samples.ts";
import { graphSvg } from "../../tools/model/graph-svg.ts";
import { inspect, inspectText } from "../../tools/model/inspect.ts";
import { lanesOf, laneText } from "../../tools/model/lanes.ts";

const test = suite("inspect");

const report = await inspect("tools/bearing/bearing-1.0.0.onnx");
const { buffers, peak } = report.memory;

test("the peak is the most that is alive at once, and the arena holds it", () => {
  const aliveAt = (at: number): number =>
    buffers.filter(({ first, last }) => first <= at && at <= last).reduce((sum, { bytes }) => sum + bytes, 0);
  const times = Array.from({ length: report.layers.length + 2 }, (_, at) => at);
  assert.is(peak.bytes, Math.max(...times.map(aliveAt)));
  assert.is(aliveAt(peak.at), peak.bytes);
  assert.ok(report.arenaBytes >= peak.bytes);
  for (const { offset, bytes } of buffers) assert.ok(offset + bytes <= report.arenaBytes);
});

test("a value lives from the layer that yields it to the last one that reads it", () => {
  const nodes = report.layers.map(({ name }) => name);
  for (const { name, first, last } of buffers) {
    if (nodes.includes(name)) assert.is(first, nodes.indexOf(name) + 1, name);
    assert.ok(last >= first && last <= nodes.length + 1, name);
  }
});

test("the map has a line per buffer, with as many marks as it lives", () => {
  const lines = inspectText(report).split("\n");
  for (const { name, first, last } of buffers) {
    const line = lines.find((text) => text.startsWith(`${name} `) && /[█·]{2}/.test(text)) ?? "";
    assert.is(line.split("█").length - 1, last - first + 1, name);
  }
  assert.match(lines[lines.length - 1], new RegExp(`^peak .* at ${peak.node}`));
});

test("lanes: a value that is read again goes on beside the others, and ends where it is read last", () => {
  const steps = [
    { name: "a", inputs: ["x"] },
    { name: "b", inputs: ["a"] },
    { name: "c", inputs: ["b"] },
    { name: "sum", inputs: ["a", "c"] },
    { name: "end", inputs: ["sum"] },
  ];
  assert.equal(lanesOf("x", steps).map(laneText), ["●", "├─●", "│ ●", "●─╯", "●"]);
});

test("lanes: what passes between is crossed, and the lane that ends to the left turns right", () => {
  assert.is(laneText({ lane: 2, sources: [0], ended: [], passing: [0, 1] }), "├─┼─●");
  assert.is(laneText({ lane: 1, sources: [0, 1], ended: [0, 1], passing: [2] }), "╰─● │");
});

test("the picture has a row and a dot per layer, an edge per input, and no markup from names", () => {
  const [first, ...rest] = report.layers;
  const svg = graphSvg({ ...report, model: "<b>", layers: [{ ...first, bytes: 0 }, ...rest] });
  const count = (part: string): number => svg.split(part).length - 1;
  assert.is(count("<circle"), report.layers.length);
  assert.is(count("<path"), report.layers.flatMap(({ inputs }) => inputs).length);
  assert.ok(!svg.includes("<b>") && svg.includes("&lt;b&gt;"));
  for (const { name } of report.layers) assert.ok(svg.includes(`>${name}<`), name);
});

const folder = mkdtempSync(join(tmpdir(), "polaredge-inspect-"));
test.after(() => rmSync(folder, { recursive: true }));

test("a prepared model shows how each layer is kept and what that leaves wrong", async () => {
  const file = join(folder, "bearing.polar");
  const { inputs } = bearingSamples(16, 3);
  const job = { model: await readFile("tools/bearing/bearing-1.0.0.onnx"), name: "bearing", samples: inputs };
  const profile = await loadProfile("raspberry-pi-4");
  const quantization = { ...profile.quantization, weights: "int3" } as const;
  const model = await prepare({ ...job, profile: { ...profile, quantization } }, undefined, () => {});
  await writeFile(file, encodeModel(model));
  const { precision, layers } = await inspect(file);
  assert.equal(
    precision?.layers.map(({ layer }) => layer),
    layers.filter(({ params }) => params > 0).map(({ name }) => name),
  );
  for (const { format, bits, error } of precision?.layers ?? []) {
    assert.ok(error !== null && error > 0 && error < 0.4, `${error}`);
    assert.ok(format === "int8" ? bits >= 8 : bits < 5);
  }
  assert.ok(precision?.layers.some(({ rank }) => rank > 0));
  assert.match(inspectText(await inspect(file)), /layer +format +bits +rank +error/);
});

test.run();
