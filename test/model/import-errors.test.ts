import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Failure, type FailureCode } from "../../runtime/base/failure.ts";
import { importModel } from "../../runtime/model/import.ts";
import { integers, type OnnxSpec, onnxModel, weights } from "../support/onnx.ts";
import { fill, image, last, real, scalar, step, vector } from "../support/onnx-cases.ts";
import { type TfliteSpec, tfliteModel } from "../support/tflite.ts";

const test = suite("import errors");

type Row<Spec> = readonly [what: string, spec: Spec, code: FailureCode, ...words: string[]];

const dense = { nodes: [last("Gemm", "x w")], inputs: vector, tensors: { w: weights([12, 4]) } } as const;
const conv = { nodes: [last("Conv", "x w")], inputs: image, tensors: { w: weights([4, 3, 2, 2]) } } as const;
const convWith = (attributes: Parameters<typeof last>[2]): OnnxSpec => ({
  ...conv,
  nodes: [last("Conv", "x w", attributes)],
});

const lstm = {
  nodes: [last("LSTM", "x w r")],
  inputs: { x: [1, 1, 5] },
  tensors: { w: weights([1, 16, 5]), r: weights([1, 16, 4]) },
} as const;

// biome-ignore format: one row per case
const onnx: readonly Row<OnnxSpec>[] = [
  ["an unknown operator", { nodes: [last("Einsum", "x")] }, "import/unsupported-operator", "node it (Einsum)", "Supported are", "Conv"],
  ["another operator set", { nodes: [{ ...last("Gelu", "x"), domain: "com.microsoft" }] }, "import/unsupported-operator", "com.microsoft.Gelu"],
  ["an operator named as something of JavaScript", { nodes: [last("constructor", "x")] }, "import/unsupported-operator", "constructor"],
  ["an old operator set", { ...dense, opset: 6 }, "import/unsupported-version", "operator set 6", "7 to"],
  ["a future operator set", { ...dense, opset: 99 }, "import/unsupported-version", "operator set 99"],
  ["an input of bytes", { ...dense, inputType: 2 }, "import/unsupported-type", "input x is uint8", "float"],
  ["half weights", { ...dense, tensors: { w: { ...weights([12, 4]), type: 10 } } }, "import/unsupported-type", "w is float16"],
  ["integer weights", { ...dense, tensors: { w: { shape: [2, 2], values: [1, 2, 3, 4] } } }, "import/unsupported-type", "node it (Gemm)", "float32"],
  ["an open width", { ...conv, inputs: { x: ["n", 3, 6, "w"] } }, "import/dynamic-shape", "input x", "[-1, 3, 6, -1]"],
  ["a batch of 8", { ...dense, inputs: { x: [8, 12] } }, "import/unsupported-shape", "batch of 8"],
  ["two inputs", { ...dense, inputs: { x: [1, 12], z: [1, 2] } }, "import/unsupported-shape", "one input", "x, z"],
  ["two outputs", { ...dense, outputs: ["y", "z"] }, "import/unsupported-shape", "one output", "y, z"],
  ["an output that nothing yields", { ...dense, outputs: ["z"] }, "import/malformed", "nothing yields z"],
  ["a missing initializer", { ...dense, tensors: {} }, "import/malformed", "node it (Gemm)", "nothing yields w"],
  ["nodes out of order", { ...dense, nodes: [last("Relu", "d"), step("d", "Gemm", "x w")] }, "import/malformed", "nothing yields d"],
  ["weights of another size", { ...dense, tensors: { w: weights([10, 4]) } }, "import/malformed", "[12, 4] weights", "[10, 4]"],
  ["fewer weights than their shape says", { ...dense, tensors: { w: { ...weights([10, 4]), shape: [12, 4] } } }, "import/malformed", "w has 40 values"],
  ["a bias of another size", { ...dense, nodes: [last("Gemm", "x w b")], tensors: { w: weights([12, 4]), b: weights([3]) } }, "import/malformed", "3"],
  ["a NaN among the weights", { ...dense, tensors: { w: fill([12, 4], Number.NaN) } }, "import/malformed", "weight 0 of it is NaN"],
  ["an infinite bias", { ...dense, nodes: [step("d", "Gemm", "x w"), last("Add", "d b")], tensors: { ...dense.tensors, b: fill([4], Number.POSITIVE_INFINITY) } }, "import/malformed", "bias 0 of make d is Infinity"],
  ["weights that are computed", { ...dense, nodes: [step("s", "Sigmoid", "x"), last("Gemm", "x s")] }, "import/unsupported-operator", "input 1 is computed"],
  ["filters for other channels", { ...conv, tensors: { w: weights([4, 2, 2, 2]) } }, "import/malformed", "3 channels"],
  ["groups that don't divide", convWith({ group: 2 }), "import/malformed", "2 groups"],
  ["no groups", convWith({ group: 0 }), "import/malformed", "0 groups"],
  ["an unknown padding", convWith({ auto_pad: "MIRROR" }), "import/unsupported-attribute", "auto_pad = MIRROR", "SAME_UPPER"],
  ["an unknown attribute", convWith({ shiny: 1 }), "import/unsupported-attribute", "node it (Conv)", "shiny"],
  ["negative pads", convWith({ pads: [0, -1, 0, 0] }), "import/unsupported-attribute", "pads"],
  ["a stride of zero", convWith({ strides: [0, 1] }), "import/unsupported-attribute", "stride"],
  ["a window larger than its input", convWith({ dilations: [9, 9] }), "import/unsupported-shape", "larger than its input"],
  ["pads of 10^12", convWith({ pads: [0, 0, 1e12, 1e12] }), "import/unsupported-shape", "at most"],
  ["a constant of 10^12 values", { ...dense, nodes: [step("o", "ConstantOfShape", "n"), last("Add", "x o")], tensors: { n: integers(1e6, 1e6) } }, "import/unsupported-shape", "at most"],
  ["a reshape to another size", { nodes: [last("Reshape", "x k")], inputs: vector, tensors: { k: integers(1, 13) } }, "import/unsupported-shape", "[1, 12]", "[1, 13]"],
  ["no permutation", { nodes: [last("Transpose", "x", { perm: [0, 0] })], inputs: vector }, "import/malformed", "permutation"],
  ["an axis too many", { nodes: [last("Softmax", "x", { axis: 2 })], inputs: vector }, "import/malformed", "axis 2"],
  ["a mirrored pad", { nodes: [last("Pad", "x k", { mode: "reflect" })], inputs: image, tensors: { k: integers(0, 0, 1, 1, 0, 0, 1, 1) } }, "import/unsupported-attribute", "mode = reflect"],
  ["a quotient of values", { nodes: [step("s", "Sigmoid", "x"), last("Div", "x s")], inputs: vector }, "import/unsupported-operator", "div"],
  ["operands that repeat each other", { nodes: [step("a", "ReduceMean", "x", { axes: [1] }), step("b", "ReduceMean", "x", { axes: [2] }), last("Add", "a b")], inputs: { x: [1, 3, 4] } }, "import/unsupported-shape", "[1, 1, 4]", "[1, 3, 1]"],
  ["a clip upside down", { nodes: [last("Clip", "x lo hi")], inputs: vector, tensors: { lo: scalar(1), hi: scalar(0) } }, "import/unsupported-attribute", "clip"],
  ["a peephole", { ...lstm, nodes: [last("LSTM", "x w r - - - - p")], tensors: { ...lstm.tensors, p: fill([1, 12], 1) } }, "import/unsupported-operator", "node it (LSTM)", "input 7 (p)", "zeros"],
  ["an initial state", { ...lstm, nodes: [last("LSTM", "x w r - - p")], tensors: { ...lstm.tensors, p: fill([1, 1, 4], 1) } }, "import/unsupported-operator", "input 5 (p)"],
  ["a part of the sequence", { ...lstm, nodes: [last("LSTM", "x w r - n")], tensors: { ...lstm.tensors, n: integers(2) } }, "import/unsupported-shape", "sequence_lens [2]"],
  ["other gates", { ...lstm, nodes: [last("LSTM", "x w r", { activations: { texts: ["Relu", "Tanh", "Tanh"] } })] }, "import/unsupported-attribute", "Relu", "Sigmoid,Tanh,Tanh"],
  ["a batch of sequences", { ...lstm, inputs: { x: [1, 3, 5] } }, "import/unsupported-shape", "[steps, 1, inputs]", "[1, 3, 5]"],
  ["weights for other inputs", { ...lstm, inputs: { x: [1, 1, 6] } }, "import/malformed", "[96, 64, 16, 16]", "[80, 64, 16, 16]"],
  ["a gru that resets before its product", { ...lstm, nodes: [last("GRU", "x w r")], tensors: { w: weights([1, 12, 5]), r: weights([1, 12, 4]) } }, "import/unsupported-attribute", "linear_before_reset = 0", "reset_after"],
  ["the state of a cell", { ...lstm, nodes: [{ ...last("LSTM", "x w r"), outputs: ["", "", "y"] }] }, "import/malformed", "nothing yields y"],
  ["every second element", { nodes: [last("Slice", "x f t a s")], inputs: vector, tensors: { f: integers(0), t: integers(9), a: integers(1), s: integers(2) } }, "import/unsupported-attribute", "a slice with a step"],
  ["an empty slice", { nodes: [last("Slice", "x f t a")], inputs: vector, tensors: { f: integers(3), t: integers(3), a: integers(1) } }, "import/unsupported-shape", "nothing is left of axis 1"],
  ["two elements gathered", { nodes: [last("Gather", "x i", { axis: 1 })], inputs: vector, tensors: { i: integers(1, 2) } }, "import/unsupported-shape", "only one element"],
  ["a NaN attribute", { nodes: [last("LeakyRelu", "x", { alpha: real(Number.NaN) })], inputs: vector }, "import/malformed", "alpha"],
];

const matrix = { x: { shape: [1, 12] }, w: weights([4, 12]), y: { shape: [] } };
const connected = { operators: [{ code: 9, inputs: ["x", "w"], output: "y" }], tensors: matrix };

// biome-ignore format: one row per case
const tflite: readonly Row<TfliteSpec>[] = [
  ["an unknown operator", { ...connected, operators: [{ code: 67, inputs: ["x"], output: "y" }] }, "import/unsupported-operator", "node y (TRANSPOSE_CONV)", "CONV_2D"],
  ["an operator from the future", { ...connected, operators: [{ code: 999, inputs: ["x"], output: "y" }] }, "import/unsupported-operator", "999"],
  ["another schema", { ...connected, version: 4 }, "import/unsupported-version", "version 4"],
  ["the INT8 model", { ...connected, tensors: { ...matrix, x: { shape: [1, 12], type: 9 } } }, "import/unsupported-type", "input x is int8", "float model"],
  ["INT8 weights", { ...connected, tensors: { ...matrix, w: { shape: [4, 12], type: 9, values: new Uint8Array(48) } } }, "import/unsupported-type", "node y (FULLY_CONNECTED)", "w is int8"],
  ["an open length", { ...connected, tensors: { ...matrix, x: { shape: [1, 12], signature: [1, -1] } } }, "import/dynamic-shape", "input x"],
  ["two outputs", { ...connected, outputs: ["y", "x"] }, "import/unsupported-shape", "outputs: "],
  ["missing weights", { ...connected, tensors: { ...matrix, w: { shape: [4, 12] } } }, "import/malformed", "nothing yields"],
  ["weights of another size", { ...connected, tensors: { ...matrix, w: weights([4, 11]) } }, "import/malformed", "[12, 4] weights"],
  ["fewer weights than their shape says", { ...connected, tensors: { ...matrix, w: { ...weights([4, 11]), shape: [4, 12] } } }, "import/malformed", "44 values"],
  ["a NaN among the weights", { ...connected, tensors: { ...matrix, w: fill([4, 12], Number.NaN) } }, "import/malformed", "NaN"],
  ["an lstm with a projection", { operators: [{ code: 44, inputs: ["x", ..."wwwwwwww".split(""), "", "", "", ..."wwww".split(""), "w"], output: "y", options: { 0: { u8: 4 } } }], tensors: { x: { shape: [1, 6, 5] }, w: weights([4, 5]), y: { shape: [] } } }, "import/unsupported-operator", "input 16", "projections"],
  ["an lstm that clips", { operators: [{ code: 44, inputs: ["x", ..."wwwwwwww".split(""), "", "", "", ..."wwww".split("")], output: "y", options: { 0: { u8: 4 }, 1: { f32: 10 } } }], tensors: { x: { shape: [1, 6, 5] }, w: weights([4, 5]), y: { shape: [] } } }, "import/unsupported-attribute", "cell clip 10"],
  ["a softmax with another base", { ...connected, operators: [{ code: 25, inputs: ["x"], output: "y", options: { 0: { f32: 2 } } }] }, "import/unsupported-attribute", "beta = 2"],
];

const text = (letters: string): Uint8Array => new TextEncoder().encode(letters);
const others: readonly Row<Uint8Array>[] = [
  ["nothing", new Uint8Array(), "import/unknown-format", "empty", "ONNX and TFLite"],
  ["JSON", text('{"format": "layers-model"}'), "import/unknown-format", "JSON"],
  ["a Keras file", Uint8Array.of(0x89, ...text("HDF")), "import/unknown-format", "HDF5"],
  ["a PyTorch file", text("PK\x03\x04"), "import/unknown-format", "ZIP"],
  ["noise", Uint8Array.of(0xff, 1, 2, 3), "import/unknown-format", "ff010203"],
];

function check([what, bytes, code, ...words]: Row<Uint8Array>): void {
  test(what, () => {
    try {
      importModel(bytes, "small");
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      assert.is(error.code, code, error.message);
      for (const word of words) assert.ok(error.message.includes(word), `${word} is missing in: ${error.message}`);
      return;
    }
    assert.unreachable("it was imported");
  });
}

for (const [what, spec, ...rest] of onnx) check([`ONNX: ${what}`, onnxModel(spec), ...rest]);
for (const [what, spec, ...rest] of tflite) check([`TFLite: ${what}`, tfliteModel(spec), ...rest]);
for (const row of others) check(row);

test.run();
