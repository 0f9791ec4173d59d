import type { Family } from "./family.ts";
import { type Folded, type FoldedSurrogate, foldProduct, saturates } from "./folding.ts";
import type { Memory } from "./memory.ts";
import type { ConvStep } from "./step.ts";
import { describe, describeTarget } from "./wasm-descriptors.ts";
import {
  IN_EIGHTS,
  IN_FOURS,
  IN_PAIRS,
  IN_PAIRS_BY_FOUR,
  isNarrow,
  packPanels,
  packStarts,
  packSteps,
  packWeights,
  panelsOf,
  STEP_BYTES,
} from "./wasm-packing.ts";
import { describeGathered, describeWindow } from "./wasm-window.ts";
import { windowsOf } from "./windows.ts";

/** Windows whose z and codes are kept at a time (assembly/convolution.ts). */
const STRIP = 64;
/** What is copied at a time. */
const VECTOR = 16;

/** The export for a step and the address of its descriptor. */
export interface Packed {
  readonly kernel: string;
  readonly descriptor: number;
}

export function packConv(memory: Memory, step: ConvStep, family: Family): Packed {
  const { weights, input, output, residual } = step;
  const folded = foldProduct(step);
  const { surrogate } = folded;
  const rank = surrogate?.rank ?? 0;
  const windows = windowsOf(step);
  const [, , channels] = input.shape;
  const rows = panelsOf(weights.columns) + rank > 1 ? shortRows(windows.taps, channels) : [];
  const offsets =
    rows.length > 0 ? Int32Array.from({ length: weights.rows }, (_, i) => i) : rowOffsets(windows.taps, channels);
  const z = memory.keep(new Float32Array(STRIP * IN_EIGHTS.width * Math.ceil(rank / IN_EIGHTS.width)));
  const main = packWeighted(memory, weights.codes, folded, offsets, weights.blockLength, family);
  if (rows.length > 0) memory.scratch(windows.height * windows.pitch + STRIP * weights.rows + VECTOR);
  const descriptor = describe(memory, "Convolution", {
    window: describeWindow(memory, step, input.zeroPoint),
    rows: rows.length > 0 ? memory.keep(Int32Array.from(rows)) : 0,
    rowCount: rows.length,
    rowBytes: weights.rows / Math.max(1, rows.length),
    gathered: describeGathered(memory, STRIP, weights.rows),
    main: describe(memory, "Product", {
      ...main.fields,
      target: describeTarget(memory, output, folded.target, saturates(folded)),
      rank,
      b: surrogate ? memory.keep(packPanels(surrogate.b, weights.columns)) : 0,
      z,
      residual: residual ? memory.address(residual) : 0,
      residualScale: folded.residualScale,
    }),
    // It runs in the same module as the product.
    projection: describeProjection(memory, surrogate, offsets, z, main.narrow ? family : "plain"),
  });
  return { kernel: main.narrow ? "conv2d_narrow" : "conv2d", descriptor };
}

/** The surrogate's first factor; without a surrogate, of no ranks. Its weights are narrow (folding.ts). */
function describeProjection(
  memory: Memory,
  surrogate: FoldedSurrogate | undefined,
  offsets: Int32Array,
  z: number,
  family: Family,
): number {
  const { a, rank, scales, bias } = surrogate ?? NOTHING;
  const packed = packSteps(surrogate ? offsets : new Int32Array(), offsets.length);
  const order = family === "plain" ? IN_PAIRS_BY_FOUR : IN_EIGHTS;
  return describe(memory, "Projection", {
    runs: memory.keep(packed.runs),
    panels: Math.ceil(rank / order.width),
    weights: memory.keep(packWeights(a, rank, packed.steps, order)),
    starts: memory.keep(family === "dot4" ? packStarts(a, rank, packed) : new Int32Array()),
    scales: memory.keep(packPanels(scales, rank)),
    bias: memory.keep(packPanels(bias, rank)),
    z,
  });
}

const NOTHING = { a: new Int8Array(), rank: 0, scales: new Float32Array(), bias: new Float32Array() };

/**
 * Where the rows of a window are, relative to it, if they are so short that windows are better copied together first:
 * a row that ends within a step, or after one or two, costs as much as several.
 */
function shortRows(taps: readonly number[], channels: number): number[] {
  const rows = taps.filter((tap, i) => i === 0 || tap !== taps[i - 1] + channels);
  const bytes = (taps.length * channels) / rows.length;
  return rows.length > 1 && bytes <= VECTOR && Number.isInteger(bytes) ? rows : [];
}

/** Where the code of each row of weights is, relative to the window. */
function rowOffsets(taps: readonly number[], channels: number): Int32Array {
  return Int32Array.from({ length: taps.length * channels }, (_, row) => {
    return taps[Math.floor(row / channels)] + (row % channels);
  });
}

/** The fields of a Product that its weights determine. */
interface Weighted {
  readonly fields: Readonly<
    Record<"runs" | "blocks" | "panels" | "weights" | "panelBytes" | "starts" | "scales" | "bias", number>
  >;
  readonly narrow: boolean;
}

/** Weights as a build of the kernels wants them, and whether they are narrow for it. */
export function packWeighted(
  memory: Memory,
  codes: Int8Array,
  { scales, bias }: Pick<Folded, "scales" | "bias">,
  offsets: Int32Array,
  blockLength: number,
  family: Family,
): Weighted {
  const columns = bias.length;
  const packed = packSteps(offsets, blockLength);
  const { runs, blocks, steps } = packed;
  const narrow = family !== "plain" && isNarrow(codes, columns, steps);
  const fields = {
    runs: memory.keep(runs),
    blocks: blocks.length,
    panels: panelsOf(columns),
    weights: memory.keep(packWeights(codes, columns, steps, narrow ? IN_FOURS : IN_PAIRS)),
    panelBytes: steps.length * STEP_BYTES,
    starts: memory.keep(family === "dot4" && narrow ? packStarts(codes, columns, packed) : new Int32Array()),
    scales: memory.keep(packPanels(scales, columns)),
    bias: memory.keep(packPanels(bias, columns)),
  };
  return { fields, narrow };
}
