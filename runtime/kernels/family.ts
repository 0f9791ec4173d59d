import { setFlagsFromString } from "node:v8";
import { NO_CLAMP } from "../model/graph.ts";
import type { LoadKernels } from "./kernels.ts";
import { loadReference } from "./reference.ts";
import type { ConvStep } from "./step.ts";

/**
 * The builds of the kernels, the fastest first: by which instruction they multiply codes with narrow weights.
 * dot4 and dot2 are relaxed SIMD, whose results depend on the machine where a pair of products exceeds 16 bits or a code
 * of more than 127 may count as signed. The first never happens (wasm-packing.ts); the second is tried.
 */
export const families = ["dot4", "dot2", "plain"] as const;
export type Family = (typeof families)[number];

const [major] = process.versions.v8.split(".").map(Number);

/** Relaxed SIMD has been on since V8 11.4; Node 20 has 11.3, where it works behind a flag. */
if (major < 12) setFlagsFromString("--experimental-wasm-relaxed-simd");

/** V8 11's first-tier compiler gets dot4 wrong even where the result is defined; V8 13 (Node 24) does not. */
export function mayBeExact(family: Family): boolean {
  return family !== "dot4" || major >= 13;
}

/** Whether kernels answer as the reference does on all codes with the greatest narrow weights. */
export function isExact(load: LoadKernels): boolean {
  const bytes = PROBE.output.offset + 4 * 8 * POSITIONS;
  const [expected, found] = [loadReference, load].map((implementation) => {
    const kernels = implementation(bytes);
    const run = kernels.bind(PROBE);
    kernels.u8(PROBE.input).forEach((_, i, codes) => {
      codes[i] = i % 2 === 0 ? 255 - (i >> 1) : 255;
    });
    run();
    return kernels.f32(PROBE.output);
  });
  return expected.every((value, i) => Object.is(value, found[i]));
}

const ROWS = 256;
const POSITIONS = 4;

/** Each column has the same two weights in turn: all signs, all the largest that are narrow. */
const PROBE: ConvStep = {
  op: "conv2d",
  name: "probe",
  kernel: [1, 1],
  stride: [1, 1],
  dilation: [1, 1],
  pads: [0, 0, 0, 0],
  input: { offset: 0, shape: [POSITIONS, 1, ROWS], type: "u8", scale: 1, zeroPoint: 0 },
  output: { offset: ROWS * POSITIONS, shape: [POSITIONS, 1, 8], type: "f32", scale: 1, zeroPoint: 0 },
  weights: {
    rows: ROWS,
    columns: 8,
    codes: Int8Array.from({ length: ROWS * 8 }, (_, i) => {
      const [even, odd] = [
        [64, 64],
        [-64, -64],
        [127, 1],
        [-127, -1],
        [64, -64],
        [127, -127],
        [1, 127],
        [0, -127],
      ][i % 8];
      return i % 16 < 8 ? even : odd;
    }),
    scales: new Float32Array(8).fill(1),
    blockLength: ROWS,
  },
  bias: new Float32Array(8),
  surrogate: undefined,
  residual: undefined,
  clamp: NO_CLAMP,
};
