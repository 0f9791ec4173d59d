import { type Cell, NO_CLAMP } from "../model/graph.ts";
import { type Arena, arrayOf, startOf } from "./arena.ts";
import { affineOf, stored, targetOf } from "./rounding.ts";
import type { RecurrenceStep } from "./step.ts";

/** The numbers of one step in time: `x` and `v` as in Recurrence (model/graph.ts), one gate after the other. */
interface Moment {
  readonly x: Float64Array;
  readonly v: Float64Array;
  /** What the cell remembers in high precision: c of an lstm, h of a gru. */
  readonly memory: Float64Array;
  readonly h: Float64Array;
}

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

const cells: Readonly<Record<Cell, (moment: Moment) => void>> = {
  lstm({ x, v, memory, h }) {
    const n = h.length;
    for (let j = 0; j < n; j++) {
      const [i, o, f] = [j, n + j, 2 * n + j];
      const candidate = Math.tanh(x[3 * n + j] + v[3 * n + j]);
      memory[j] = sigmoid(x[f] + v[f]) * memory[j] + sigmoid(x[i] + v[i]) * candidate;
      h[j] = sigmoid(x[o] + v[o]) * Math.tanh(memory[j]);
    }
  },
  gru({ x, v, memory, h }) {
    const n = h.length;
    for (let j = 0; j < n; j++) {
      const z = sigmoid(x[j] + v[j]);
      const r = sigmoid(x[n + j] + v[n + j]);
      memory[j] = z * memory[j] + (1 - z) * Math.tanh(x[2 * n + j] + r * v[2 * n + j]);
      h[j] = memory[j];
    }
  },
};

/**
 * The product of the state is `product`'s, whoever computes it; what follows is f64, with V8's exp and tanh, the same
 * on every platform.
 */
export function bindRecurrence(arena: Arena, step: RecurrenceStep, product: () => void): () => void {
  const { input, output, reverse } = step;
  const { input: state, output: sums } = step.product;
  const [steps, , columns] = input.shape;
  const length = output.shape[2];
  const target = targetOf(output, NO_CLAMP);
  const { scale, zeroPoint } = affineOf(input);
  const moment: Moment = {
    x: new Float64Array(columns),
    v: new Float64Array(columns),
    memory: new Float64Array(length),
    h: new Float64Array(length),
  };

  const read = (t: number): void => {
    const from = arrayOf(arena, input);
    const start = startOf(input) + t * columns;
    for (let j = 0; j < columns; j++) {
      moment.x[j] = scale * (from[start + j] - zeroPoint);
      moment.v[j] = arena.floats[startOf(sums) + j];
    }
  };

  return () => {
    moment.memory.fill(0);
    arena.bytes.fill(output.zeroPoint, state.offset, state.offset + length);
    for (let i = 0; i < steps; i++) {
      const t = reverse ? steps - 1 - i : i;
      product();
      read(t);
      cells[step.cell](moment);
      for (let j = 0; j < length; j++) {
        const code = stored(moment.h[j] / target.scale + target.zeroPoint, target);
        arena.bytes[output.offset + t * length + j] = code;
        arena.bytes[state.offset + j] = code;
      }
    }
  };
}
