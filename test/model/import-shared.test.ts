import { readFileSync } from "node:fs";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { openTeacher } from "../../runtime/kernels/float.ts";
import { isLayer } from "../../runtime/model/graph.ts";
import { importModel } from "../../runtime/model/import.ts";
import type { FloatModel } from "../../runtime/model/stages.ts";
import { decodeLabels, decodeNpy } from "../../runtime/tensor/npy.ts";
import { argmax, sizeOf } from "../../runtime/tensor/tensor.ts";
import { difference } from "../support/golden.ts";
import { normals } from "../support/random.ts";
import { sharedData } from "../support/shared.ts";

const test = suite("import of real models");

/** The same network in two formats: [ONNX, TFLite], weights. */
const networks = {
  kws: { files: ["kws.f32.onnx"], weights: 22_016 },
  ic: { files: ["ic.f32.onnx", "pretrainedResnet.tflite"], weights: 77_360 },
  ad: { files: ["ad.f32.onnx", "ad01_fp32.tflite"], weights: 264_192 },
  vww: { files: ["vww.f32.onnx", "vww_96_float.tflite"], weights: 208_112 },
} as const;

/** Published samples, and the accuracy that onnxruntime has on them, in percent. */
const accuracies = {
  kws: { inputs: "kws/kws_dev.x.npy", labels: "kws/kws_dev.y.npy", percent: 90.4 },
  ic: { inputs: "ic/ic_dev.x.npy", labels: "ic/ic_dev.y.npy", percent: 73.5 },
} as const;

const read = (path: string): Uint8Array | undefined => {
  const url = sharedData(path);
  return url && readFileSync(url);
};

async function answer(model: FloatModel, inputs: Float32Array): Promise<Float32Array> {
  const teacher = await openTeacher(model);
  const { output } = await teacher.run(inputs, inputs.length / sizeOf(model.graph.input.shape));
  teacher.close();
  return output;
}

for (const [name, { files, weights }] of Object.entries(networks)) {
  test(`${name}: ${files.join(" and ")} are the same network`, async () => {
    const models = [];
    for (const file of files) {
      const bytes = read(`models/${file}`);
      if (!bytes) return;
      models.push(importModel(bytes, file));
    }
    const layers = models.map(({ graph }) => graph.nodes.filter(isLayer).map(({ rows, columns }) => [rows, columns]));
    assert.is(
      layers[0].reduce((sum, [rows, columns]) => sum + rows * columns, 0),
      weights,
    );
    const inputs = normals(2 * sizeOf(models[0].graph.input.shape), 1);
    const answers = [];
    for (const model of models) answers.push(await answer(model, inputs));
    assert.equal(layers.at(-1), layers[0]);
    assert.ok(difference(answers.at(-1) ?? [], answers[0]) < 1e-6);
  });
}

for (const [name, { inputs, labels, percent }] of Object.entries(accuracies)) {
  test(`${name}: as accurate as in onnxruntime`, async () => {
    const [bytes, x, y] = [read(`models/${name}.f32.onnx`), read(inputs), read(labels)];
    if (!bytes || !x || !y) return;
    const classes = decodeLabels(y, labels);
    const output = await answer(importModel(bytes, name), decodeNpy(x, inputs).data);
    const length = output.length / classes.length;
    const hits = classes.filter((label, i) => argmax(output, i * length, length) === label).length;
    assert.is((100 * hits) / classes.length, percent);
  });
}

test.run();
