import { Failure } from "../../base/failure.ts";
import { shapeText } from "../../tensor/tensor.ts";
import type { Call } from "../builder/call.ts";
import { addConcat } from "../builder/concat.ts";
import { weightsOf } from "../builder/constant.ts";
import { addRecurrent, type Recurred, type RecurrentWeights } from "../builder/recurrent.ts";
import { shapeOfView, type View } from "../builder/view.ts";
import { type Cell, GATES } from "../graph.ts";
import type { OnnxNode } from "./file.ts";

type OnnxCall = Call<OnnxNode>;

/** The functions of the gates, of one direction; the only ones that there are kernels for. */
const FUNCTIONS: Readonly<Record<Cell, readonly string[]>> = {
  lstm: ["Sigmoid", "Tanh", "Tanh"],
  gru: ["Sigmoid", "Tanh"],
};
/** By attribute: which directions there are, and which of them run backwards. */
const DIRECTIONS: Readonly<Record<string, readonly boolean[]>> = {
  forward: [false],
  reverse: [true],
  bidirectional: [false, true],
};

/**
 * https://onnx.ai/onnx/operators/onnx__LSTM.html and onnx__GRU.html: Y, all outputs, [T, directions, 1, H], and Y_h,
 * the last one of each direction, [directions, 1, H]. Y_c is not offered.
 */
export function recurrent(call: OnnxCall, cell: Cell): View[] {
  const { attributes } = call.node;
  const name = attributes.text("direction", "forward");
  const directions = Object.hasOwn(DIRECTIONS, name) ? DIRECTIONS[name] : [];
  if (directions.length === 0) throw new Failure("import/malformed", `attribute direction = ${name}`);
  attributes.only("layout", 0);
  checkSupported(call, cell, directions.length);
  const sequence = sequenceOf(call.view(0));
  const parts = directions.map((reverse, i) =>
    addRecurrent(call.build, directions.length > 1 ? `${call.name}:${i}` : call.name, sequence, {
      cell,
      reverse,
      ...weightsFor(call, cell, i, directions.length),
    }),
  );
  return outputsOf(call, parts);
}

/** Axes [T, inputs] of [T, 1, inputs]. */
function sequenceOf(view: View): View {
  const [time, batch, values] = view.axes;
  if (view.axes.length === 3 && batch.length === 0) return { ...view, axes: [time, values] };
  const found = shapeText(shapeOfView(view));
  throw new Failure(
    "import/unsupported-shape",
    `expected a sequence [steps, 1, inputs] with a batch of 1, found ${found}`,
  );
}

function checkSupported(call: OnnxCall, cell: Cell, directions: number): void {
  const { attributes, inputs } = call.node;
  const functions = Array.from({ length: directions }, () => FUNCTIONS[cell]).flat();
  const named = attributes.texts("activations") ?? functions;
  if (named.join().toLowerCase() !== functions.join().toLowerCase()) {
    throw new Failure("import/unsupported-attribute", `attribute activations = ${named}; supported: ${functions}`);
  }
  if (cell === "gru" && attributes.integer("linear_before_reset", 0) === 0) {
    throw new Failure(
      "import/unsupported-attribute",
      "attribute linear_before_reset = 0; supported: 1, as PyTorch exports it, and Keras with reset_after=True",
    );
  }
  if (cell === "lstm") attributes.only("input_forget", 0);
  for (const i of cell === "lstm" ? [5, 6, 7] : [5]) {
    const constant = call.optional(i);
    if (constant?.values.some((value) => value !== 0)) {
      throw new Failure("import/unsupported-operator", `input ${i} (${inputs[i]}) is not zero; supported: zeros`);
    }
  }
  const lengths = call.optional(4);
  if (lengths && lengths.values[0] !== call.shape(0)[0]) {
    throw new Failure("import/unsupported-shape", `sequence_lens [${lengths.values}]; supported: the whole sequence`);
  }
}

/** W [directions, gates * H, inputs], R [directions, gates * H, H], B [directions, 2 * gates * H] or none. */
function weightsFor(
  call: OnnxCall,
  cell: Cell,
  direction: number,
  directions: number,
): Omit<RecurrentWeights, "cell" | "reverse"> {
  const [w, r] = [call.constant(1), call.constant(2)];
  const [, columns, inputs] = w.shape;
  const size = columns / GATES[cell];
  const named = call.node.attributes.integer("hidden_size", size);
  const known = w.shape.length === 3 && w.shape[0] === directions && named === size;
  if (!known || r.shape.join() !== [directions, columns, size].join()) {
    throw new Failure("import/malformed", `weights ${shapeText(w.shape)} and ${shapeText(r.shape)} of size ${named}`);
  }
  const b = call.operands[3] ? weightsOf(call.constant(3)) : new Float32Array(directions * 2 * columns);
  const bias = b.subarray(direction * 2 * columns, (direction + 1) * 2 * columns);
  const [inputBias, stateBias] = [bias.slice(0, columns), bias.slice(columns)];
  return {
    size,
    input: transposed(weightsOf(w), direction, columns, inputs),
    state: transposed(weightsOf(r), direction, columns, size),
    ...(cell === "gru" ? { inputBias, stateBias } : merged(inputBias, stateBias)),
  };
}

/** An lstm only ever adds the two. */
function merged(input: Float32Array, state: Float32Array): Pick<RecurrentWeights, "inputBias" | "stateBias"> {
  return { inputBias: input.map((value, i) => value + state[i]), stateBias: new Float32Array(state.length) };
}

/** Matrix `index` of several, each rows x columns. */
function transposed(matrices: Float32Array, index: number, rows: number, columns: number): Float32Array {
  const from = matrices.subarray(index * rows * columns, (index + 1) * rows * columns);
  return from.map((_, i) => from[(i % rows) * columns + Math.floor(i / rows)]);
}

function outputsOf({ build, name }: OnnxCall, parts: readonly Recurred[]): View[] {
  const count = parts.length;
  const joined = (views: readonly View[], axis: number, label: string): View =>
    count === 1 ? views[0] : addConcat(build, `${name}:${label}`, views, axis);
  const all = joined(
    parts.map((part) => part.all),
    1,
    "all",
  );
  const last = joined(
    parts.map((part) => part.last),
    0,
    "last",
  );
  const [steps, width] = shapeOfView(all);
  const y = build.reshape(all, [steps, count, width / count]);
  const h = build.reshape(last, [count, width / count]);
  return [withBatch(y, 2), withBatch(h, 1)];
}

function withBatch(view: View, at: number): View {
  return { ...view, axes: view.axes.toSpliced(at, 0, []), shared: true };
}
