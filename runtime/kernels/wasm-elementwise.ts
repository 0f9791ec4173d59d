import { NO_CLAMP } from "../model/graph.ts";
import { sizeOf } from "../tensor/tensor.ts";
import type { Memory } from "./memory.ts";
import { elementwiseConstants } from "./reference-elementwise.ts";
import { averageMultipliers } from "./reference-pool.ts";
import { targetOf } from "./rounding.ts";
import type { ConvertStep, ElementwiseStep, LookupStep, PoolStep } from "./step.ts";
import { describe, describeTarget } from "./wasm-descriptors.ts";
import { describeWindow } from "./wasm-window.ts";
import { windowsOf } from "./windows.ts";

export function packConversion(memory: Memory, { op, input, output }: ConvertStep): number {
  const toCodes = op === "quantize";
  return describe(memory, "Conversion", {
    input: memory.address(input),
    output: memory.address(output),
    length: sizeOf(input.shape),
    scale: toCodes ? 1 / output.scale : input.scale,
    zero: toCodes ? output.zeroPoint : input.zeroPoint,
    highest: 255,
    table: 0,
  });
}

export function packLookup(memory: Memory, { input, output, table }: LookupStep): number {
  return describe(memory, "Conversion", {
    input: memory.address(input),
    output: memory.address(output),
    length: sizeOf(input.shape),
    scale: 0,
    zero: 0,
    highest: 255,
    table: memory.keep(table),
  });
}

/** Inputs of one shape are one long row. */
export function packElementwise(memory: Memory, step: ElementwiseStep): number {
  const [a, b] = step.inputs;
  const { output } = step;
  const columns = sizeOf(b.shape);
  const rows = columns === 0 ? 0 : sizeOf(output.shape) / columns;
  const row = { ...output, shape: [1, rows, columns] } as const;
  return describe(memory, "Elementwise", {
    target: describeTarget(memory, row, targetOf(output, step.clamp)),
    a: memory.address(a),
    b: memory.address(b),
    rows,
    ...elementwiseConstants(step),
  });
}

/** Under an average the border counts as zero, so its code is the zero point; under a maximum it never wins. */
export function packPool(memory: Memory, step: PoolStep): number {
  const { op, input, output } = step;
  const { taps } = windowsOf(step);
  const average = op === "average-pool";
  return describe(memory, "Pool", {
    window: describeWindow(memory, step, average ? input.zeroPoint : 0),
    target: describeTarget(memory, output, targetOf(output, NO_CLAMP)),
    offsets: memory.keep(Int32Array.from(taps)),
    count: taps.length,
    multipliers: average ? memory.keep(averageMultipliers(step)) : 0,
    zeroSum: average ? taps.length * input.zeroPoint : 0,
    zero: output.zeroPoint,
  });
}
