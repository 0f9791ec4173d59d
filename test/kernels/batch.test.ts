import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { entry } from "../../runtime/base/entry.ts";
import { isFailure } from "../../runtime/base/failure.ts";
import { loadWasm } from "../../runtime/kernels/wasm.ts";
import { isMatmul } from "../../runtime/model/graph.ts";
import { compile } from "../../runtime/plan/compile.ts";
import { Runner } from "../../runtime/plan/run.ts";
import type { MatmulUnit } from "../../runtime/plan/unit.ts";
import { uncorrected, uncorrectedAccelerator } from "../../runtime/polarize/polarize.ts";
import { quantizeModel } from "../../runtime/quantize/quantize.ts";
import { sizeOf } from "../../runtime/tensor/tensor.ts";
import { inferRequest, LoadConnection } from "../support/http-load.ts";
import { randomModel, residualGraph } from "../support/models.ts";
import { naive } from "../support/naive.ts";
import { normals } from "../support/random.ts";
import { serveRunner } from "../support/served-runner.ts";

const test = suite("batch");

const COUNT = 7;
const size = sizeOf(residualGraph.input.shape);
const float = randomModel(residualGraph, 7);
const inputs = normals(COUNT * size, 3);
const policy = { weights: "nf4", blockLength: 32, firstLayer: "int8", lastLayer: "int8", depthwise: "int8" } as const;
const model = uncorrected(quantizeModel(float, naive(float, inputs, COUNT), policy));
const wasm = await loadWasm();
const runner = new Runner(compile(model), wasm);

/** What each sample is answered when it is asked alone. */
const single = Float32Array.from(
  Array.from({ length: COUNT }, (_, i) => [...runner.runSync(inputs.subarray(i * size, (i + 1) * size))]).flat(),
);

test("several samples are answered as single ones are, bit for bit, in the memory of one", async () => {
  const before = runner.memoryBytes;
  assert.equal(runner.runSync(inputs), single);
  assert.equal(await runner.run(inputs), single);
  assert.is(runner.memoryBytes, before);
});

test("answers are written where they are wanted", async () => {
  const room = new Float32Array(single.length + 1).fill(7);
  assert.is(runner.runSync(inputs, room), room);
  assert.equal(room.subarray(0, -1), single);
  assert.is(room[single.length], 7);
  assert.is(await runner.run(inputs, room.fill(0)), room);
  assert.equal(room.subarray(0, -1), single);
});

test("taps are told of one sample after the other", async () => {
  const told: number[] = [];
  await runner.run(inputs, undefined, (value, numbers) => {
    if (value === residualGraph.output) told.push(...numbers);
  });
  assert.equal(Float32Array.from(told), single);
});

/** Products that are wrong, but the same for the same codes. */
const unit: MatmulUnit = {
  name: "sums",
  uid: "sums",
  layers: new Set(["point", "wide"]),
  async multiply(layer, codes, count) {
    const { columns } = entry(model.layers, layer).matrix;
    const rows = codes.length / count;
    return Float32Array.from({ length: count * columns }, (_, i) => {
      const vector = codes.subarray(Math.floor(i / columns) * rows, (Math.floor(i / columns) + 1) * rows);
      return vector.reduce((sum, code, k) => sum + code * (((k + i) % 5) - 2), 0) / 100;
    });
  },
  async nominal(layer) {
    const { rows, columns } = entry(model.layers, layer).matrix;
    return new Float32Array(rows * columns);
  },
};

test("products of several samples may be done by a unit", async () => {
  const placed = await uncorrectedAccelerator(model, float, unit);
  const through = new Runner(compile(placed, unit.layers), wasm, { unit });
  const alone: number[] = [];
  for (let i = 0; i < COUNT; i++) alone.push(...(await through.run(inputs.subarray(i * size, (i + 1) * size))));
  const together = await through.run(inputs);
  assert.equal(together, Float32Array.from(alone));
  assert.not.equal(together, single);
  assert.ok(residualGraph.nodes.filter(isMatmul).some(({ name }) => unit.layers.has(name)));
});

for (const [what, length, room] of [
  ["no sample", 0, 10],
  ["a part of a sample", size + 1, 20],
  ["less room than answers", 2 * size, 19],
] as const) {
  test(`${what} is refused`, async () => {
    const run = () => runner.runSync(new Float32Array(length), new Float32Array(room));
    assert.throws(run, (error: unknown) => isFailure(error, "input/shape"));
    const error = await runner.run(new Float32Array(length), new Float32Array(room)).catch((reason: unknown) => reason);
    assert.ok(isFailure(error, "input/shape"));
    assert.equal(await runner.run(inputs), single);
  });
}

test("an inference allocates nothing, once V8 has compiled it for good", () => {
  const [sample, answer] = [inputs.slice(0, size), new Float32Array(runner.outputLength)];
  const RUNS = 400;
  const found: number[] = [];
  const allocated = (): number => {
    const before = process.memoryUsage().heapUsed;
    for (let i = 0; i < RUNS; i++) runner.runSync(sample, answer);
    found.push((process.memoryUsage().heapUsed - before) / RUNS);
    return Math.abs(found[found.length - 1]);
  };
  while (allocated() >= 16) assert.ok(found.length < 200, `${found.map(Math.round)} bytes`);
});

const folder = mkdtempSync(join(tmpdir(), "polaredge-batch-"));
test.after(() => rmSync(folder, { recursive: true }));

test("a request of several samples is answered as many requests are", async () => {
  const socket = join(folder, "polaredge.sock");
  const server = await serveRunner(runner, socket);
  const connection = new LoadConnection(socket);
  try {
    const { name, shape } = runner.input;
    const answered = await connection.ask(inferRequest("kws", { name, shape: [COUNT, ...shape.slice(1)] }, inputs));
    assert.is(answered?.status, 200);
    assert.equal(answered?.bytes.subarray(-single.byteLength), Buffer.from(single.buffer));
  } finally {
    connection.close();
    await server.close();
  }
});

test.run();
