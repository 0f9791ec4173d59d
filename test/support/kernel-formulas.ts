import type { Slot, Step } from "../../runtime/kernels/step.ts";
import type { Clamp, Window } from "../../runtime/model/graph.ts";
import type { LowRank } from "../../runtime/model/stages.ts";

/** step.ts in f64, one output number at a time: real values before they are stored, from real values. */
export type Formula = (y: number, x: number, c: number) => number;

/** The real value of input number `which` at [y, x, c]. */
export type Read = (which: number, y: number, x: number, c: number) => number;

export function formulaOf(step: Step, read: Read): Formula {
  switch (step.op) {
    case "conv2d":
      return (y, x, j) => {
        const product = convolved(step, read, y, x, j) + step.bias[j] + surrogate(step, read, y, x, j);
        return within(product + (step.residual ? read(1, y, x, j) : 0), step.clamp);
      };
    case "depthwise":
      return (y, x, j) => {
        let sum = step.bias[j];
        for (const { k, row, column } of taps(step, y, x)) {
          if (inside(step.input, row, column)) sum += read(0, row, column, j) * weight(step, k, j);
        }
        return within(sum, step.clamp);
      };
    case "quantize":
    case "dequantize":
      return (y, x, c) => read(0, y, x, c);
    case "add":
    case "mul":
      return (y, x, c) => {
        const [, b] = step.inputs;
        const shared = b.shape[0] * b.shape[1] === 1;
        const other = shared ? read(1, 0, 0, c) : read(1, y, x, c);
        return within(step.op === "add" ? read(0, y, x, c) + other : read(0, y, x, c) * other, step.clamp);
      };
    case "max-pool":
    case "average-pool":
      return (y, x, c) => {
        const values = taps(step, y, x).filter(({ row, column }) => inside(step.input, row, column));
        const numbers = values.map(({ row, column }) => read(0, row, column, c));
        if (step.op === "max-pool") return Math.max(...numbers);
        return sum(numbers) / (step.countPadding ? step.kernel[0] * step.kernel[1] : numbers.length);
      };
    case "softmax":
      return (y, x, c) => {
        const powers = Array.from({ length: step.input.shape[2] }, (_, i) => Math.exp(read(0, y, x, i)));
        return powers[c] / sum(powers);
      };
    default:
      throw new Error(`${step.op} only moves numbers`);
  }
}

type Weighted = Extract<Step, { op: "conv2d" | "depthwise" }>;

function weight({ weights }: Weighted, k: number, j: number): number {
  return (
    weights.codes[k * weights.columns + j] * weights.scales[Math.floor(k / weights.blockLength) * weights.columns + j]
  );
}

/** Sum over the rows of x[p, k] * f(k). */
function overRows(step: Weighted, read: Read, y: number, x: number, f: (k: number) => number): number {
  const channels = step.input.shape[2];
  let total = 0;
  for (const { k, row, column } of taps(step, y, x)) {
    if (!inside(step.input, row, column)) continue;
    for (let c = 0; c < channels; c++) total += read(0, row, column, c) * f(k * channels + c);
  }
  return total;
}

function convolved(step: Weighted, read: Read, y: number, x: number, j: number): number {
  return overRows(step, read, y, x, (k) => weight(step, k, j));
}

function surrogate(
  step: Weighted & { surrogate?: LowRank | undefined },
  read: Read,
  y: number,
  x: number,
  j: number,
): number {
  if (!step.surrogate) return 0;
  const { rank, a, b } = step.surrogate;
  const z = Array.from({ length: rank }, (_, r) => overRows(step, read, y, x, (k) => a[k * rank + r]));
  return sum(z.map((value, r) => value * b[r * step.weights.columns + j]));
}

function taps(step: Window, y: number, x: number): { k: number; row: number; column: number }[] {
  const [height, width] = step.kernel;
  return Array.from({ length: height * width }, (_, k) => ({
    k,
    row: y * step.stride[0] - step.pads[0] + Math.floor(k / width) * step.dilation[0],
    column: x * step.stride[1] - step.pads[1] + (k % width) * step.dilation[1],
  }));
}

function inside({ shape }: Slot, row: number, column: number): boolean {
  return row >= 0 && row < shape[0] && column >= 0 && column < shape[1];
}

function within(value: number, { min, max }: Clamp): number {
  return Math.min(max, Math.max(min, value));
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
