import type { Family } from "./family.ts";
import { foldProduct, saturates } from "./folding.ts";
import type { Memory } from "./memory.ts";
import type { DepthwiseStep } from "./step.ts";
import { describe, describeTarget } from "./wasm-descriptors.ts";
import { isNarrow, packPairs, packPanels } from "./wasm-packing.ts";
import { type Packed, packWeighted } from "./wasm-product.ts";
import { describeWindow } from "./wasm-window.ts";
import { windowsOf } from "./windows.ts";

/** A kernel of 3 x 3 column by column, the steps that makes, and where their codes are when rows lie side by side. */
const TURNED = [0, 3, 6, 1, 4, 7, 2, 5, 8];
const STEPS = [0, 3, 6].map((row) => ({ row, count: 3 }));
const SIDE_BY_SIDE = Int32Array.of(0, 1, 2, 4, 5, 6, 8, 9, 10);
const LANES = 4;
/** What assembly/depthwise-narrow.ts writes too far, and what it rounds up. */
const BEYOND = 128;

export function packDepthwise(memory: Memory, step: DepthwiseStep, family: Family): Packed {
  const { weights, kernel, dilation } = step;
  const { columns, codes } = weights;
  const square = [...kernel, ...dilation].join() === "3,3,1,1";
  if (!square || family === "plain") return packAny(memory, step);
  const turned = codes.map((_, i) => codes[TURNED[Math.floor(i / columns)] * columns + (i % columns)]);
  return isNarrow(turned, columns, STEPS) ? packSides(memory, step, turned, family) : packAny(memory, step);
}

function packAny(memory: Memory, step: DepthwiseStep): Packed {
  const { weights, input, output } = step;
  const { rows, columns, codes } = weights;
  const { scales, bias, target } = foldProduct(step);
  const { taps } = windowsOf(step);
  const even = taps.length % 2 === 0 ? taps : [...taps, taps[taps.length - 1]];
  const descriptor = describe(memory, "Depthwise", {
    window: describeWindow(memory, step, input.zeroPoint),
    target: describeTarget(memory, output, target),
    pairs: memory.keep(Int32Array.from(even)),
    pairCount: even.length / 2,
    weights: memory.keep(packPairs(codes, rows, columns)),
    scales: memory.keep(packPanels(scales, columns)),
    bias: memory.keep(packPanels(bias, columns)),
  });
  return { kernel: "depthwise", descriptor };
}

/** 3 x 3 with narrow weights: a product of rows side by side with a step per column of the kernel. */
function packSides(memory: Memory, step: DepthwiseStep, turned: Int8Array, family: Family): Packed {
  const { weights, input, output, stride, pads } = step;
  const { columns } = weights;
  const [top, left, , right] = pads;
  const [inputRows, width] = input.shape;
  const folded = foldProduct(step);
  const { fields } = packWeighted(memory, turned, folded, SIDE_BY_SIDE, TURNED.length, family);
  const rowBytes = width * columns;
  memory.scratch(rowBytes + LANES * (left + width + right) * columns + BEYOND);
  const descriptor = describe(memory, "Depthwise3", {
    target: describeTarget(memory, output, folded.target, saturates(folded)),
    input: memory.address(input),
    inputRows,
    rowBytes,
    border: input.zeroPoint,
    above: top,
    left: left * columns,
    right: right * columns,
    rows: output.shape[0],
    width: output.shape[1],
    stepX: stride[1] * columns,
    stepY: stride[0],
    weights: fields.weights,
    starts: fields.starts,
    scales: fields.scales,
    bias: fields.bias,
  });
  return { kernel: "depthwise3_narrow", descriptor };
}
