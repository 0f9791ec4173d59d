import { NO_CLAMP } from "../model/graph.ts";
import type { QuantizedMatrix } from "../model/stages.ts";
import { bytesOf } from "./arena.ts";
import type { Kernels, LoadKernels } from "./kernels.ts";
import type { ConvStep, DepthwiseStep, Slot } from "./step.ts";

/**
 * The builds of the kernels: by which instruction they multiply codes with narrow weights. dot2 and dot4 are relaxed
 * SIMD, which computes what the machine has an instruction for: on x64 codes count as unsigned (pmaddubsw), on arm64
 * as signed (sdot). Within that, narrow weights are exact (wasm-packing.ts); which it is, is tried.
 */
export const families = ["dot4", "dot2", "plain"] as const;
export type Family = (typeof families)[number];

/** What is worth trying here, the best first. */
export const candidates: readonly Family[] = process.arch === "arm64" ? ["dot4", "plain"] : ["dot2", "plain"];

/** Whether kernels answer as the reference does, on all codes with the greatest narrow weights. */
export function isExact(load: LoadKernels): boolean {
  const kernels = load(Math.max(...PROBES.map(({ output }) => output.offset + bytesOf(output))));
  return PROBES.every((probe, i) => answerDigest(kernels, probe) === KNOWN[i]);
}

/** What the reference's answers come to (family.test.ts): computing them takes longer than the rest. */
const KNOWN: readonly number[] = [1061575429, 602465509, 124990789];

function answerDigest(kernels: Kernels, probe: ConvStep | DepthwiseStep): number {
  const run = kernels.bind(probe);
  kernels.u8(probe.input).forEach((_, i, codes) => {
    codes[i] = i % 2 === 0 ? 255 - (i >> 1) : 255;
  });
  run();
  return digestOf(kernels.f32(probe.output));
}

/** FNV-1a (draft-eastlake-fnv) of 32 bits, over the bits of a number at a time. */
function digestOf({ buffer, byteOffset, length }: Float32Array): number {
  let digest = 0x811c9dc5;
  for (const bits of new Uint32Array(buffer, byteOffset, length)) digest = Math.imul(digest ^ bits, 0x01000193);
  return digest;
}

/** Few, since every start waits for this; all codes appear in nine windows of them. */
const ROWS = 64;

/** A column, or a depthwise channel, has the same two weights in turn: all signs, all the largest that are narrow. */
const PAIRS = [
  [64, 64],
  [-64, -64],
  [127, 1],
  [-127, -1],
  [64, -64],
  [127, -127],
  [1, 127],
  [0, -127],
] as const;

const common = { name: "probe", stride: [1, 1], dilation: [1, 1], clamp: NO_CLAMP } as const;

/** Each way through the kernels once: windows by fours, in blocks and with a surrogate; one window; 3 x 3. */
const PROBES: readonly (ConvStep | DepthwiseStep)[] = [
  productProbe(9, 16, 16, 2),
  productProbe(1, 40, ROWS, 0),
  depthwiseProbe(),
];

function productProbe(positions: number, columns: number, blockLength: number, rank: number): ConvStep {
  return {
    ...common,
    op: "conv2d",
    kernel: [1, 1],
    pads: [0, 0, 0, 0],
    input: codesAt0([positions, 1, ROWS]),
    output: { ...codesAt0([positions, 1, columns]), offset: ROWS * positions, type: "f32" },
    weights: probeMatrix(ROWS, columns, blockLength),
    bias: new Float32Array(columns),
    surrogate: {
      rank,
      a: new Float32Array(ROWS * rank).map((_, i) => (i & 1 ? -1 : 1)),
      b: new Float32Array(rank * columns).map((_, i) => 1 + Math.floor(i / columns)),
    },
    residual: undefined,
  };
}

function depthwiseProbe(): DepthwiseStep {
  return {
    ...common,
    op: "depthwise",
    kernel: [3, 3],
    pads: [1, 1, 1, 1],
    input: codesAt0([5, 6, 16]),
    output: { ...codesAt0([5, 6, 16]), offset: 5 * 6 * 16, type: "f32" },
    weights: probeMatrix(9, 16, 9),
    bias: new Float32Array(16),
  };
}

function codesAt0(shape: Slot["shape"]): Slot {
  return { offset: 0, shape, type: "u8", scale: 1, zeroPoint: 0 };
}

function probeMatrix(rows: number, columns: number, blockLength: number): QuantizedMatrix {
  const codes = new Int8Array(rows * columns);
  for (let k = 0, i = 0; k < rows; k++) {
    for (let j = 0; j < columns; j++) codes[i++] = PAIRS[j & 7][k & 1];
  }
  return {
    rows,
    columns,
    codes,
    scales: new Float32Array(Math.ceil(rows / blockLength) * columns).fill(1),
    blockLength,
  };
}
