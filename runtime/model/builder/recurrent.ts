import { Failure } from "../../base/failure.ts";
import { shapeText, sizeOf } from "../../tensor/tensor.ts";
import { type Cell, GATES } from "../graph.ts";
import type { Builder } from "./builder.ts";
import { addDense } from "./dense.ts";
import { shapeOfView, type View, viewOf } from "./view.ts";

/** One direction of a recurrent layer. Matrices are inputs x columns, gates in the order of Recurrence (graph.ts). */
export interface RecurrentWeights {
  readonly cell: Cell;
  readonly reverse: boolean;
  readonly size: number;
  /** inputs x gates * size. */
  readonly input: Float32Array;
  /** size x gates * size. */
  readonly state: Float32Array;
  readonly inputBias: Float32Array;
  readonly stateBias: Float32Array;
}

/** All outputs, [T, H], and the last one in the order that they are computed in, [H]. */
export interface Recurred {
  readonly all: View;
  readonly last: View;
}

/**
 * What the inputs bring to the gates does not depend on the state, so it is a dense layer over the whole sequence, and
 * the recurrent node has only the state's weights.
 * @param sequence axes [T, inputs]
 */
export function addRecurrent(builder: Builder, label: string, sequence: View, of: RecurrentWeights): Recurred {
  const columns = GATES[of.cell] * of.size;
  const [steps, inputs] = shapeOfView(sequence);
  checkLengths(of, inputs, columns);
  builder.reserve(inputs + of.size, columns);
  const { value: ordered } = builder.arrange(sequence, [[], [0], [1]]);
  const rows = viewOf(ordered, [1, steps, inputs]);
  const gates = addDense(builder, `${label}:input`, rows, of.input, [inputs, columns], of.inputBias);
  const { value } = builder.arrange(gates, [[], [1], [2]]);
  const { cell, reverse, size } = of;
  const node = { op: "recurrence", name: builder.name(label), inputs: [value], shape: [1, steps, size] } as const;
  builder.add({ ...node, rows: size, columns, cell, reverse }, { weights: of.state, bias: of.stateBias });
  const part = { op: "slice", name: builder.name(`${label}:last`), inputs: [node.name], shape: [1, 1, size] } as const;
  const last = builder.add({ ...part, axis: 1, start: reverse ? 0 : steps - 1 });
  const all = viewOf(node.name, node.shape);
  return {
    all: { ...all, axes: all.axes.slice(1), shared: true },
    last: { ...last, axes: last.axes.slice(2), shared: true },
  };
}

function checkLengths(of: RecurrentWeights, inputs: number, columns: number): void {
  const found = [of.input, of.state, of.inputBias, of.stateBias].map(({ length }) => length);
  const expected = [inputs * columns, of.size * columns, columns, columns];
  if (sizeOf(found) > 0 && found.every((length, i) => length === expected[i])) return;
  throw new Failure(
    "import/malformed",
    `expected ${shapeText(expected)} weights of inputs and state and biases, found ${shapeText(found)}`,
  );
}
