import { NO_CLAMP } from "../model/graph.ts";
import type { LoadKernels } from "./kernels.ts";
import { loadReference } from "./reference.ts";
import type { ConvStep } from "./step.ts";

/**
 * The builds of the kernels: by which instruction they multiply codes with narrow weights. dot2 and dot4 are relaxed
 * SIMD, which computes what the machine has an instruction for: on x64 codes count as unsigned (pmaddubsw), on arm64
 * as signed (sdot). Within that, narrow weights are exact (wasm-packing.ts); which it is, is tried.
 */
export const families = ["dot4", "dot2", "plain"] as const;
export type Family = (typeof families)[number];

/** What is worth trying here, the best first. */
export const candidates: readonly Family[] = process.arch === "arm64" ? ["dot4", "plain"] : ["dot2", "plain"];

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
