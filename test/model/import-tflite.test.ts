import { suite } from "uvu";
import * as assert from "uvu/assert";
import { importModel } from "../../runtime/model/import.ts";
import { operators } from "../../runtime/model/tflite/operators.ts";
import { checkGolden, goldens } from "../support/golden.ts";
import { tfliteModel } from "../support/tflite.ts";
import { code, tfliteCases } from "../support/tflite-cases.ts";

const test = suite("import tflite");

const answers = goldens("onnx.json");

for (const [name, spec] of Object.entries(tfliteCases)) {
  test(`${name}: answers as its twin`, async () => {
    const model = importModel(tfliteModel(spec), name);
    assert.is(model.graph.nodes.map(({ op }) => op).join(" "), spec.ops);
    const { twin } = spec;
    const relu = answers.relu;
    const golden = typeof twin === "string" ? answers[twin] : { ...relu, output: relu.input.map(twin) };
    await checkGolden(model, golden);
  });
}

test("every operator of the table has a case", () => {
  const used = new Set(Object.values(tfliteCases).flatMap((spec) => spec.operators.map((operator) => operator.code)));
  const named = Object.entries(code).filter(([, value]) => used.has(value));
  assert.equal(named.map(([name]) => name).sort(), Object.keys(operators).sort());
});

test.run();
