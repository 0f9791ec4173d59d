import { suite } from "uvu";
import * as assert from "uvu/assert";
import { registerGradients } from "../../runtime/kernels/float/gradients.ts";
import { clamped } from "../../runtime/kernels/float/operations.ts";
import { loadTfjs, type Tensor } from "../../runtime/kernels/float/tfjs.ts";
import { isMixing } from "../../runtime/model/graph.ts";
import { importModel } from "../../runtime/model/import.ts";
import type { PolarizedLayer, PolarizedModel } from "../../runtime/model/stages.ts";
import { observe } from "../../runtime/polarize/augment.ts";
import { parametersOf } from "../../runtime/polarize/distill/parameters.ts";
import { type Storing, studentOf } from "../../runtime/polarize/distill/student.ts";
import { uncorrected } from "../../runtime/polarize/polarize.ts";
import { quantizeModel } from "../../runtime/quantize/quantize.ts";
import { sizeOf } from "../../runtime/tensor/tensor.ts";
import { onnxModel } from "../support/onnx.ts";
import { layerCases } from "../support/onnx-layers.ts";
import { recurrentCases } from "../support/onnx-recurrent.ts";
import { shapeCases } from "../support/onnx-shapes.ts";
import { valueCases } from "../support/onnx-values.ts";
import { normals } from "../support/random.ts";

const test = suite("gradients");
const tf = await loadTfjs();
registerGradients(tf);

const SAMPLES = 2;
const RANK = 2;
const policy = { weights: "int8", blockLength: 32, firstLayer: "int8", lastLayer: "int8", depthwise: "int8" } as const;
/** Differences have none where numbers are rounded. */
const unrounded: Storing = (tf, value, _, clamp) => clamped(tf, value, clamp);

/** With random low-rank paths beside every layer that can have one. */
async function polarizedOf(bytes: Uint8Array, name: string): Promise<PolarizedModel> {
  const float = importModel(bytes, name);
  const observed = await observe(float, normals(SAMPLES * sizeOf(float.graph.input.shape), 5), SAMPLES);
  const model = uncorrected(quantizeModel(float, observed, policy));
  const layers = float.graph.nodes.filter(isMixing).map(({ name, rows, columns }, i): [string, PolarizedLayer] => {
    const layer = model.layers.get(name) as PolarizedLayer;
    const [a, b] = [normals(rows * RANK, i), normals(RANK * columns, 50 + i).map((x) => x / 10)];
    return [name, { ...layer, digital: { ...layer.digital, surrogate: { rank: RANK, a, b } } }];
  });
  return { ...model, layers: new Map([...model.layers, ...layers]) };
}

for (const [name, spec] of Object.entries({ ...layerCases, ...valueCases, ...shapeCases, ...recurrentCases })) {
  test(`${name}: the gradient is the limit of differences`, async () => {
    const model = await polarizedOf(onnxModel(spec), name);
    const { input, output, nodes } = model.graph;
    const student = studentOf(tf, model, unrounded);
    const parts = [
      { values: normals(SAMPLES * sizeOf(input.shape), 6), shape: [SAMPLES, ...input.shape] },
      ...parametersOf(model),
    ];
    const before = tf.memory().numTensors;
    const length = SAMPLES * sizeOf((nodes.find(({ name }) => name === output) ?? input).shape);
    const weights = normals(length, 7);
    const sum = (...[x, ...parameters]: Tensor[]): Tensor => {
      const answers = student.run(x, parameters).get(output) as Tensor;
      return tf.sum(tf.mul(tf.reshape(answers, [length]), tf.tensor(weights)));
    };
    const tensors = (values: readonly Float32Array[]): Tensor[] => values.map((v, i) => tf.tensor(v, parts[i].shape));
    const at = parts.map(({ values }) => values);
    const slopes = tf.tidy(() =>
      tf
        .grads(sum as Parameters<typeof tf.grads>[0])(tensors(at))
        .map((g) => g.dataSync<"float32">()),
    );
    const valueAt = (values: readonly Float32Array[]): number =>
      tf.tidy(() => {
        const answers = student.run(...(([x, ...rest]) => [x, rest] as const)(tensors(values))).get(output) as Tensor;
        return answers.dataSync<"float32">().reduce((total, y, i) => total + y * weights[i], 0);
      });
    for (const [i, { values }] of parts.entries()) {
      const along = normals(values.length, 20 + i);
      const moved = (by: number): Float32Array[] =>
        at.map((v, j) => (j === i ? v.map((x, k) => x + by * along[k]) : v));
      const step = 2e-3;
      const expected = (valueAt(moved(step)) - valueAt(moved(-step))) / (2 * step);
      const found = slopes[i].reduce((total, g, k) => total + g * along[k], 0);
      const size = Math.sqrt(slopes[i].reduce((total, g) => total + g * g, 0));
      assert.ok(Math.abs(found - expected) < 0.02 * (size + 0.01), `part ${i}: ${found} for ${expected}, size ${size}`);
    }
    assert.is(tf.memory().numTensors, before, "tensors are left behind");
    student.close();
  });
}

test.run();
