import { suite } from "uvu";
import * as assert from "uvu/assert";
import { entry } from "../../runtime/base/entry.ts";
import { openTeacher } from "../../runtime/kernels/float.ts";
import { loadReference } from "../../runtime/kernels/reference.ts";
import type { RecurrenceStep, SliceStep } from "../../runtime/kernels/step.ts";
import { loadWasm } from "../../runtime/kernels/wasm.ts";
import { type Cell, GATES } from "../../runtime/model/graph.ts";
import { importModel } from "../../runtime/model/import.ts";
import type { FloatModel, FormatName, PolarizedModel } from "../../runtime/model/stages.ts";
import { compile } from "../../runtime/plan/compile.ts";
import { Runner } from "../../runtime/plan/run.ts";
import type { Calibration } from "../../runtime/polarize/polarize.ts";
import { lowered } from "../../runtime/polarize/prepare.ts";
import { decodeModel, encodeModel } from "../../runtime/quantize/file.ts";
import { sizeOf } from "../../runtime/tensor/tensor.ts";
import { allWasm } from "../support/all-wasm.ts";
import { difference, goldens } from "../support/golden.ts";
import { convStep, Slots } from "../support/kernel-steps.ts";
import { run } from "../support/kernel-trial.ts";
import { onnxModel } from "../support/onnx.ts";
import { last, step } from "../support/onnx-cases.ts";
import { recurrentCases } from "../support/onnx-recurrent.ts";
import { normals } from "../support/random.ts";

const test = suite("recurrence");
const implementations = [loadReference, ...(await allWasm())];
const wasm = await loadWasm();

interface Built {
  readonly step: RecurrenceStep;
  readonly slots: Slots;
}

function recurrence(cell: Cell, reverse: boolean, type: "u8" | "f32", rank: number, seed: number): Built {
  const [steps, size] = [9, 17];
  const columns = GATES[cell] * size;
  const { step } = convStep({ input: [1, 1, size], columns, rank, blockLength: 8, narrow: true, type: "f32" }, seed);
  const slots = new Slots();
  const input = type === "u8" ? slots.u8([steps, 1, columns], 0.03, 100) : slots.f32([steps, 1, columns]);
  const output = slots.u8([steps, 1, size], 1 / 127, 128);
  const product = { ...step, input: slots.u8([1, 1, size], 1 / 127, 128), output: slots.f32([1, 1, columns]) };
  return { step: { op: "recurrence", name: cell, cell, reverse, input, output, product }, slots };
}

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

/** The definition in graph.ts on the codes that the kernel itself gave out: h[t-1] is what it stored. */
function expected({ step }: Built, x: Uint8Array | Float32Array, codes: Uint8Array): number[] {
  const { weights: w, bias, surrogate } = step.product;
  const { scale, zeroPoint } = step.input;
  const size = step.output.shape[2];
  const memory = new Float64Array(size);
  const out = new Array<number>(codes.length);
  for (let i = 0; i < step.output.shape[0]; i++) {
    const t = step.reverse ? step.output.shape[0] - 1 - i : i;
    const before = step.reverse ? t + 1 : t - 1;
    const h = Array.from({ length: size }, (_, k) => (i === 0 ? 0 : (codes[before * size + k] - 128) / 127));
    const v = (j: number): number => {
      let sum = bias[j];
      for (let k = 0; k < size; k++) {
        let weight = w.codes[k * w.columns + j] * w.scales[Math.floor(k / w.blockLength) * w.columns + j];
        for (let r = 0; surrogate && r < surrogate.rank; r++) {
          weight += surrogate.a[k * surrogate.rank + r] * surrogate.b[r * w.columns + j];
        }
        sum += h[k] * weight;
      }
      return sum;
    };
    for (let j = 0; j < size; j++) {
      const at = (gate: number): number => t * w.columns + gate * size + j;
      const xs = [0, 1, 2, 3].map((gate) =>
        step.input.type === "u8" ? scale * (x[at(gate)] - zeroPoint) : x[at(gate)],
      );
      const vs = [0, 1, 2, 3].map((gate) => (gate < GATES[step.cell] ? v(gate * size + j) : 0));
      if (step.cell === "lstm") {
        memory[j] = sigmoid(xs[2] + vs[2]) * memory[j] + sigmoid(xs[0] + vs[0]) * Math.tanh(xs[3] + vs[3]);
        out[t * size + j] = sigmoid(xs[1] + vs[1]) * Math.tanh(memory[j]);
      } else {
        const z = sigmoid(xs[0] + vs[0]);
        memory[j] = z * memory[j] + (1 - z) * Math.tanh(xs[2] + sigmoid(xs[1] + vs[1]) * vs[2]);
        out[t * size + j] = memory[j];
      }
    }
  }
  return out;
}

for (const cell of ["lstm", "gru"] as const) {
  for (const reverse of [false, true]) {
    for (const type of ["u8", "f32"] as const) {
      test(`${cell}${reverse ? ", reverse" : ""}, ${type}: the definition, rounded; the same bits everywhere`, () => {
        for (const rank of [0, 3]) {
          const built = recurrence(cell, reverse, type, rank, 20);
          const [reference, ...others] = implementations.map((load) => run(load, built.step, built.slots, 20));
          const exact = expected(built, reference.inputs[0], reference.output as Uint8Array);
          for (const [i, y] of exact.entries()) {
            const error = Math.abs(reference.output[i] - (127 * y + 128));
            assert.ok(error < 0.5 + 0.02, `${i}: ${reference.output[i]} for ${127 * y + 128}`);
          }
          for (const { output } of others) assert.equal(output, reference.output);
        }
      });
    }
  }
}

test("slice takes a part of any axis", () => {
  for (const axis of [0, 1, 2] as const) {
    const slots = new Slots();
    const input = slots.u8([4, 5, 6]);
    const shape: [number, number, number] = [4, 5, 6];
    shape[axis] = 2;
    const slice: SliceStep = { op: "slice", name: "slice", input, output: slots.u8(shape), axis, start: 1 };
    for (const load of implementations) {
      const { inputs, output } = run(load, slice, slots, 5);
      for (let i = 0; i < output.length; i++) {
        const place = [Math.floor(i / shape[2] / shape[1]), Math.floor(i / shape[2]) % shape[1], i % shape[2]];
        place[axis] += 1;
        assert.is(output[i], inputs[0][(place[0] * 5 + place[1]) * 6 + place[2]]);
      }
    }
  }
});

/** Calibrated on `samples` inputs made from `seed`. */
async function calibration(float: FloatModel, samples: number, rank: number): Promise<Calibration> {
  const inputs = normals(samples * sizeOf(float.graph.input.shape), 3).map((x) => 2 * x);
  const teacher = await openTeacher(float);
  const { taps } = await teacher.run(
    inputs,
    samples,
    float.graph.nodes.map(({ name }) => name),
  );
  teacher.close();
  const observed = new Map(taps).set(float.graph.input.name, inputs);
  return { float, observed, samples, rank, kernels: wasm };
}

async function prepared(float: FloatModel, format: FormatName, rank: number): Promise<PolarizedModel> {
  const policy = {
    weights: format,
    blockLength: 32,
    firstLayer: format,
    lastLayer: "int8",
    depthwise: "int8",
  } as const;
  return lowered(await calibration(float, 64, rank), policy, () => {});
}

const answers = goldens("onnx.json");
for (const [name, spec] of Object.entries(recurrentCases)) {
  test(`${name}: in 8 bits it answers nearly as onnxruntime does`, async () => {
    const model = decodeModel(encodeModel(await prepared(importModel(onnxModel(spec), name), "int8", 0)));
    const [found, same] = [wasm, loadReference].map((kernels) =>
      new Runner(compile(model), kernels).runSync(Float32Array.from(answers[name].input)),
    );
    assert.ok(difference(found, answers[name].output) < 0.04, `${difference(found, answers[name].output)}`);
    assert.equal(found, same);
  });
}

/** Two layers of 32, on sequences of 20 x 12. */
const deep = importModel(
  onnxModel({
    inputs: { x: [1, 20, 12] },
    nodes: [
      step("t", "Transpose", "x", { perm: [1, 0, 2] }),
      step("l", "LSTM", "t w r", { hidden_size: 32 }),
      step("s", "Squeeze", "l k"),
      { ...step("", "GRU", "s w2 r2", { hidden_size: 32, linear_before_reset: 1 }), outputs: ["", "h"] },
      step("f", "Squeeze", "h z"),
      last("Gemm", "f g"),
    ],
    tensors: {
      ...Object.fromEntries(
        Object.entries({ w: [1, 128, 12], r: [1, 128, 32], w2: [1, 96, 32], r2: [1, 96, 32], g: [32, 10] }).map(
          ([name, shape], i) => {
            const size = sizeOf(shape);
            return [name, { shape, values: normals(size, 30 + i).map((w) => w / Math.sqrt(shape[shape.length - 1])) }];
          },
        ),
      ),
      k: { shape: [1], values: [1] },
      z: { shape: [1], values: [0] },
    },
  }),
  "deep",
);

async function errorOf(model: PolarizedModel): Promise<number> {
  const { float, observed, samples } = await calibration(deep, 96, 0);
  const size = sizeOf(float.graph.input.shape);
  const truth = entry(observed, float.graph.output);
  const runner = new Runner(compile(model), wasm);
  let [error, power] = [0, 0];
  // The first 64 samples calibrated.
  for (let i = 64; i < samples; i++) {
    const answer = runner.runSync(entry(observed, "x").subarray(i * size, (i + 1) * size));
    for (const [j, y] of answer.entries()) {
      error += (y - truth[i * answer.length + j]) ** 2;
      power += truth[i * answer.length + j] ** 2;
    }
  }
  return Math.sqrt(error / power);
}

test("surrogates give back what few bits cost a recurrent network, also in its recurrent products", async () => {
  const plain = await errorOf(await prepared(deep, "int3", 0));
  const model = await prepared(deep, "int3", 8);
  const repaired = await errorOf(model);
  assert.ok(repaired < 0.6 * plain, `${repaired} against ${plain}`);
  for (const { name } of deep.graph.nodes.filter(({ op }) => op === "recurrence")) {
    const { digital } = entry(model.layers, name);
    assert.is(digital.surrogate?.rank, 8);
    const others = { ...entry(model.layers, name), digital: { ...digital, surrogate: undefined } };
    assert.ok((await errorOf({ ...model, layers: new Map(model.layers).set(name, others) })) > repaired, name);
  }
});

test("a budget of bits covers recurrent layers", async () => {
  const policy = { weights: "nf4", blockLength: 32, firstLayer: "int8", lastLayer: "int8", depthwise: "int8" } as const;
  for (const criterion of ["alps", "eagl"] as const) {
    const basis = await calibration(deep, 16, 4);
    const { layers } = await lowered(basis, { ...policy, budget: { bitsPerWeight: 4 }, criterion }, () => {});
    assert.ok(new Set([...layers.values()].map(({ format }) => format)).size > 1);
  }
});

test.run();
