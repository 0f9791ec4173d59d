import { Failure } from "../../base/failure.ts";
import type { Call } from "../builder/call.ts";
import { weightsOf } from "../builder/constant.ts";
import { addRecurrent } from "../builder/recurrent.ts";
import { shapeOfView, type View } from "../builder/view.ts";
import type { TfliteNode } from "./file.ts";
import { byteOption, floatOption } from "./options.ts";

type TfliteCall = Call<TfliteNode>;

/** Inputs of the operator by gate, in the order of Recurrence (graph.ts): i, o, f, g (https://www.tensorflow.org/mlir/tfl_ops). */
const INPUTS = [1, 4, 2, 3] as const;
const STATES = [5, 8, 6, 7] as const;
const BIASES = [12, 15, 13, 14] as const;
/** Peepholes, projection, layer normalization. */
const UNSUPPORTED = [9, 10, 11, 16, 17, 20, 21, 22, 23] as const;
/** h and c before the first step; variables, which begin with zeros. */
const BEFORE = [18, 19] as const;
const FIELD = { activation: 0, cellClip: 1, timeMajor: 3 } as const;
const TANH = 4;

/** All outputs of UNIDIRECTIONAL_SEQUENCE_LSTM, in the order of its input. */
export function sequenceLstm(call: TfliteCall): View {
  checkSupported(call);
  const timeFirst = byteOption(call, FIELD.timeMajor) === 1;
  const view = call.view(0);
  const [first, second, values] = view.axes;
  const [time, batch] = timeFirst ? [first, second] : [second, first];
  if (view.axes.length !== 3 || batch.length > 0) {
    throw new Failure(
      "import/unsupported-shape",
      `a batch of sequences: [${shapeOfView(view)}]; export it with a batch of 1`,
    );
  }
  const size = call.constant(STATES[0]).shape[0];
  const sequence = { ...view, axes: [time, values] };
  const { all } = addRecurrent(call.build, call.name, sequence, {
    cell: "lstm",
    reverse: false,
    size,
    input: gatesTogether(call, INPUTS, size),
    state: gatesTogether(call, STATES, size),
    inputBias: Float32Array.from(BIASES.flatMap((i) => [...weightsOf(call.constant(i))])),
    stateBias: new Float32Array(4 * size),
  });
  const [steps, outputs] = all.axes;
  return { ...all, axes: timeFirst ? [steps, [], outputs] : [[], steps, outputs] };
}

function checkSupported(call: TfliteCall): void {
  const extra = UNSUPPORTED.find((i) => call.operands[i]);
  if (extra !== undefined) {
    throw new Failure(
      "import/unsupported-operator",
      `input ${extra}: peepholes, projections and layer normalization aren't supported`,
    );
  }
  if (BEFORE.some((i) => call.optional(i)?.values.some((value) => value !== 0))) {
    throw new Failure("import/unsupported-operator", "a state to begin with; supported: zeros");
  }
  const [activation, clip] = [byteOption(call, FIELD.activation), floatOption(call, FIELD.cellClip)];
  if (activation === TANH && clip === 0) return;
  throw new Failure(
    "import/unsupported-attribute",
    `activation ${activation}, cell clip ${clip}; supported: ${TANH} (tanh), 0`,
  );
}

/** Matrices of one gate each, [size, inputs], as inputs x 4 * size. */
function gatesTogether(call: TfliteCall, gates: readonly number[], size: number): Float32Array {
  const matrices = gates.map((i) => weightsOf(call.constant(i)));
  const columns = gates.length * size;
  const rows = matrices[0].length / size;
  return Float32Array.from({ length: rows * columns }, (_, i) => {
    const j = i % columns;
    return matrices[Math.floor(j / size)][(j % size) * rows + Math.floor(i / columns)];
  });
}
