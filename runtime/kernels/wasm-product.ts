import { type Folded, foldProduct, SURROGATE_BLOCK } from "./folding.ts";
import type { Memory } from "./memory.ts";
import type { ConvStep, DepthwiseStep } from "./step.ts";
import { describe, describeTarget } from "./wasm-descriptors.ts";
import {
  IN_FOURS,
  IN_PAIRS,
  isNarrow,
  type PackedSteps,
  packPairs,
  packPanels,
  packSteps,
  packWeights,
  panelsOf,
} from "./wasm-packing.ts";
import { describeWindow } from "./wasm-window.ts";
import { windowsOf } from "./windows.ts";

/** Scratch in front of the image: a tile of 4 x 8 sums (assembly/product.ts). */
const TILE_BYTES = 128;

/** The export for a step and the address of its descriptor. */
export interface Packed {
  readonly kernel: string;
  readonly descriptor: number;
}

/** @param relaxed whether the build has the kernel for narrow weights */
export function packConv(memory: Memory, step: ConvStep, relaxed: boolean): Packed {
  const { weights, input, output } = step;
  const folded = foldProduct(step);
  const rank = folded.surrogate?.rank ?? 0;
  const zBytes = 4 * 32 * panelsOf(rank);
  const offsets = rowOffsets(windowsOf(step).taps, input.shape[2]);
  const steps = packSteps(offsets, weights.blockLength);
  const narrow = relaxed && isNarrow(weights.codes, weights.columns, steps.steps);
  const descriptor = describe(memory, "Convolution", {
    window: describeWindow(memory, step, input.zeroPoint, TILE_BYTES + zBytes),
    target: describeTarget(memory, output, folded.target),
    main: describeProduct(memory, steps, weights.codes, folded, narrow ? IN_FOURS : IN_PAIRS),
    side: describeSide(memory, offsets, folded),
    rank,
    b: folded.surrogate ? memory.keep(packPanels(folded.surrogate.b, weights.columns)) : 0,
    residual: step.residual ? memory.address(step.residual) : 0,
    residualScale: folded.residualScale,
  });
  return { kernel: narrow ? "conv2d_narrow" : "conv2d", descriptor };
}

export function packDepthwise(memory: Memory, step: DepthwiseStep): number {
  const { weights, input, output } = step;
  const { scales, bias, target } = foldProduct(step);
  const { taps } = windowsOf(step);
  const even = taps.length % 2 === 0 ? taps : [...taps, taps[taps.length - 1]];
  return describe(memory, "Depthwise", {
    window: describeWindow(memory, step, input.zeroPoint, 0),
    target: describeTarget(memory, output, target),
    pairs: memory.keep(Int32Array.from(even)),
    pairCount: even.length / 2,
    weights: memory.keep(packPairs(weights.codes, weights.rows, weights.columns)),
    scales: memory.keep(packPanels(scales, weights.columns)),
    bias: memory.keep(packPanels(bias, weights.columns)),
  });
}

/** Where the code of each row of weights is, relative to the window. */
function rowOffsets(taps: readonly number[], channels: number): Int32Array {
  return Int32Array.from({ length: taps.length * channels }, (_, row) => {
    return taps[Math.floor(row / channels)] + (row % channels);
  });
}

function describeProduct(
  memory: Memory,
  { table, blocks, steps }: PackedSteps,
  codes: Int8Array | Int16Array,
  { scales, bias }: Pick<Folded, "scales" | "bias">,
  order: Parameters<typeof packWeights>[3],
): number {
  const columns = bias.length;
  return describe(memory, "Product", {
    steps: memory.keep(table),
    blocks,
    panels: panelsOf(columns),
    weights: memory.keep(packWeights(codes, columns, steps, order)),
    panelBytes: steps.length * 32 * codes.BYTES_PER_ELEMENT,
    scales: memory.keep(packPanels(scales, columns)),
    bias: memory.keep(packPanels(bias, columns)),
  });
}

const NOTHING = { scales: new Float32Array(), bias: new Float32Array() };

/** The surrogate's first factor; without one, a product of no columns. */
function describeSide(memory: Memory, offsets: Int32Array, { surrogate }: Folded): number {
  const steps = packSteps(surrogate ? offsets : new Int32Array(), SURROGATE_BLOCK);
  return describeProduct(memory, steps, surrogate?.a ?? new Int16Array(), surrogate ?? NOTHING, IN_PAIRS);
}
