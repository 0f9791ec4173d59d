import { Failure } from "../../base/failure.ts";
import { shapeText, sizeOf } from "../../tensor/tensor.ts";
import { NO_CLAMP } from "../graph.ts";
import type { Builder } from "./builder.ts";
import { factorsOf, fileOrder, type View, viewOf, withRank } from "./view.ts";

/**
 * A product over the file's last axis. `weights` are rows x columns with the rows in the file's order; where a
 * flatten only reorders the input (NCHW), the rows move instead.
 */
export function addDense(
  builder: Builder,
  label: string,
  input: View,
  weights: Float32Array,
  [rows, columns]: readonly [number, number],
  bias?: Float32Array,
): View {
  const view = withRank(input, 1);
  const last = view.axes.length - 1;
  const from = builder.behind(view, [last]);
  const inner = factorsOf(from, [last]);
  const size = sizeOf(inner.map((factor) => from.factors[factor]));
  if (
    size !== rows ||
    weights.length !== rows * columns ||
    (bias ?? weights).length !== (bias ? columns : rows * columns)
  ) {
    throw new Failure(
      "import/malformed",
      `expected ${shapeText([size, columns])} weights and ${columns} biases, found ${shapeText([rows, columns])} with ${weights.length} and ${bias?.length ?? "no"}`,
    );
  }
  const outer = from.factors.slice(0, from.factors.length - inner.length);
  const batch = sizeOf(outer) > 1 ? [1, sizeOf(outer)] : [1];
  const { value } = builder.reshaped(from.value, [...batch, rows]);
  const order = fileOrder(from, [last]);
  const moved = isIdentity(order) ? weights : movedRows(weights, order, columns);
  const node = { op: "dense", name: builder.name(label), inputs: [value], shape: [...batch, columns] } as const;
  builder.add({ ...node, rows, columns, clamp: NO_CLAMP }, { weights: moved, bias: bias ?? new Float32Array(columns) });
  const result = viewOf(node.name, [...outer, columns]);
  return { ...result, axes: [...from.axes.slice(0, -1), result.axes.at(-1) ?? []] };
}

function isIdentity(order: Int32Array): boolean {
  return order.every((row, i) => row === i);
}

function movedRows(weights: Float32Array, order: Int32Array, columns: number): Float32Array {
  const moved = new Float32Array(weights.length);
  order.forEach((row, i) => {
    moved.set(weights.subarray(row * columns, (row + 1) * columns), i * columns);
  });
  return moved;
}
