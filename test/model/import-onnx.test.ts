import { suite } from "uvu";
import * as assert from "uvu/assert";
import { importModel } from "../../runtime/model/import.ts";
import { evaluators } from "../../runtime/model/onnx/constants.ts";
import { operators } from "../../runtime/model/onnx/operators.ts";
import { checkGolden, goldens } from "../support/golden.ts";
import { onnxModel } from "../support/onnx.ts";
import { layerCases } from "../support/onnx-layers.ts";
import { recurrentCases } from "../support/onnx-recurrent.ts";
import { shapeCases } from "../support/onnx-shapes.ts";
import { valueCases } from "../support/onnx-values.ts";

const test = suite("import onnx");

const answers = goldens("onnx.json");

const cases = { ...layerCases, ...valueCases, ...shapeCases, ...recurrentCases };

for (const [name, spec] of Object.entries(cases)) {
  test(`${name}: answers as onnxruntime does`, async () => {
    const model = importModel(onnxModel(spec), name);
    assert.is(model.graph.nodes.map(({ op }) => op).join(" "), spec.ops);
    await checkGolden(model, answers[name]);
  });
}

test("every operator of the tables has a case", () => {
  const used = new Set(Object.values(cases).flatMap(({ nodes }) => nodes.map(({ op }) => op)));
  const known = new Set([...Object.keys(operators), ...Object.keys(evaluators)]);
  assert.equal([...used].sort(), [...known].sort());
});

test.run();
