import { suite } from "uvu";
import * as assert from "uvu/assert";
import { isFailure } from "../../runtime/base/failure.ts";
import { uniform } from "../../runtime/base/random.ts";
import { importModel } from "../../runtime/model/import.ts";
import { onnxModel } from "../support/onnx.ts";
import { layerCases } from "../support/onnx-layers.ts";
import { shapeCases } from "../support/onnx-shapes.ts";
import { valueCases } from "../support/onnx-values.ts";
import { tfliteModel } from "../support/tflite.ts";
import { tfliteCases } from "../support/tflite-cases.ts";

const test = suite("import damaged");

const onnx = Object.values({ ...layerCases, ...valueCases, ...shapeCases }).map(onnxModel);
const tflite = Object.values(tfliteCases).map(tfliteModel);

/** A damaged file is either still a model or refused with a reason; anything else is thrown on. */
function attempt(bytes: Uint8Array): "imported" | "refused" {
  try {
    importModel(bytes, "damaged");
    return "imported";
  } catch (error) {
    if (!isFailure(error) || !error.code.startsWith("import/")) throw error;
    return "refused";
  }
}

for (const [format, files] of Object.entries({ onnx, tflite })) {
  test(`${format}: cut short anywhere, a file is refused or says less`, () => {
    let refused = 0;
    for (const file of files) {
      for (let length = 0; length < file.length; length += 7) {
        if (attempt(file.subarray(0, length)) === "refused") refused++;
      }
    }
    assert.ok(refused > 1000, `${refused}`);
  });

  test(`${format}: random bytes in random places never break the importer`, () => {
    const next = uniform(1);
    const outcomes = { imported: 0, refused: 0 };
    for (const file of files) {
      for (let trial = 0; trial < 60; trial++) {
        const damaged = file.slice();
        const wounds = 1 + Math.floor(next() * 4);
        for (let i = 0; i < wounds; i++) {
          damaged[Math.floor(next() * damaged.length)] = [0, 255, 128, Math.floor(next() * 256)][
            Math.floor(next() * 4)
          ];
        }
        outcomes[attempt(damaged)]++;
      }
    }
    assert.ok(outcomes.imported > 100 && outcomes.refused > 100, JSON.stringify(outcomes));
  });
}

test.run();
