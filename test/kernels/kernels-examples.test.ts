import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { LoadKernels } from "../../runtime/kernels/kernels.ts";
import { loadReference } from "../../runtime/kernels/reference.ts";
import type { ConvStep, PoolStep, Step } from "../../runtime/kernels/step.ts";
import { NO_CLAMP, RELU } from "../../runtime/model/graph.ts";
import { allWasm } from "../support/all-wasm.ts";
import { PLAIN, type Shape, Slots } from "../support/kernel-steps.ts";
import { inputsOf, values } from "../support/kernel-trial.ts";

/** Small enough to check on paper. */
const test = suite("kernel examples");
const implementations: LoadKernels[] = [loadReference, ...(await allWasm())];

/** Each step's slots must come from the `Slots` it is given, in the order of its inputs. */
type Example = [name: string, step: (slots: Slots) => Step, inputs: number[][], output: number[]];

/** x = 0.5 * (code - 2), f32 out. */
function dense(slots: Slots, rows: number, columns: number): Omit<ConvStep, "weights"> {
  const input = slots.u8([1, 1, rows], 0.5, 2);
  const output = slots.f32([1, 1, columns]);
  const bias = new Float32Array(columns);
  const bare = { surrogate: undefined, residual: undefined, clamp: NO_CLAMP };
  return { op: "conv2d", name: "x", ...PLAIN, input, output, bias, ...bare };
}

function matrix(codes: number[], scales: number[], columns: number, blockLength: number): ConvStep["weights"] {
  const rows = codes.length / columns;
  return { rows, columns, codes: Int8Array.from(codes), scales: Float32Array.from(scales), blockLength };
}

const examples: Example[] = [
  [
    "conv2d: x = [1, 2, -1], W = [[1, -2], [3, 0], [0.5, 1]], y = x W + [10, 20]",
    (slots) => ({
      ...dense(slots, 3, 2),
      weights: matrix([2, -2, 6, 0, 1, 1], [0.5, 1], 2, 8),
      bias: Float32Array.of(10, 20),
    }),
    [[4, 6, 0]],
    [16.5, 17],
  ],
  [
    "conv2d: blocks of 2 and a surrogate: W = [2, 2, 4], A = [1, 2, 1], B = 0.5, y = 2 + 4 - 4 + 0.5 * (1 + 4 - 1)",
    (slots) => ({
      ...dense(slots, 3, 1),
      weights: matrix([1, 1, 1], [2, 4], 1, 2),
      surrogate: { rank: 1, a: Float32Array.of(1, 2, 1), b: Float32Array.of(0.5) },
    }),
    [[4, 6, 0]],
    [4],
  ],
  [
    "conv2d: a residual: relu(x W + 0.25 * (code - 4)), x = [1, 2], W = [[1, -1], [1, -1]]",
    (slots) => ({
      ...dense(slots, 2, 2),
      weights: matrix([1, -1, 1, -1], [1, 1], 2, 8),
      residual: slots.u8([1, 1, 2], 0.25, 4),
      clamp: RELU,
    }),
    [
      [4, 6],
      [6, 12],
    ],
    [3.5, 0],
  ],
  [
    "conv2d: sums of 2 x 2 pixels of [[1, 2], [3, 4]], padding is zero",
    (slots) => ({
      ...dense(slots, 4, 1),
      input: slots.u8([2, 2, 1], 1, 1),
      output: slots.f32([2, 2, 1]),
      kernel: [2, 2],
      pads: [1, 1, 0, 0],
      weights: matrix([1, 1, 1, 1], [1], 1, 4),
    }),
    [[2, 3, 4, 5]],
    [1, 3, 4, 10],
  ],
  [
    "conv2d: to codes of 2 with zero point 5: 7 / 2 + 5 is a tie and goes to even, 300 saturates, -8 is relu's 0",
    (slots) => ({
      ...dense(slots, 1, 4),
      input: slots.u8([1, 1, 1]),
      output: slots.u8([1, 1, 4], 2, 5),
      weights: matrix([1, 1, 1, 1], [7, 9, 600, -8], 4, 4),
      clamp: RELU,
    }),
    [[1]],
    [8, 10, 255, 5],
  ],
  [
    "depthwise: two channels, a kernel of 2 x 1 each: 1 * 1 + 2 * 3 and -1 * 2 + 3 * 4 - 20",
    (slots) => ({
      op: "depthwise",
      name: "x",
      ...PLAIN,
      kernel: [2, 1],
      input: slots.u8([2, 1, 2]),
      output: slots.f32([1, 1, 2]),
      weights: matrix([1, -1, 2, 3], [1, 1], 2, 2),
      bias: Float32Array.of(0, -20),
      clamp: NO_CLAMP,
    }),
    [[1, 2, 3, 4]],
    [7, -10],
  ],
  [
    "quantize: halves to even, saturating, infinite, not a number",
    (slots) => ({ op: "quantize", name: "x", input: slots.f32([1, 1, 9]), output: slots.u8([1, 1, 9], 0.5, 10) }),
    [[0, 0.5, 0.25, 0.75, -5.5, 200, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NaN]],
    [10, 11, 10, 12, 0, 255, 255, 0, 0],
  ],
  [
    "dequantize",
    (slots) => ({ op: "dequantize", name: "x", input: slots.u8([1, 1, 3], 0.5, 10), output: slots.f32([1, 1, 3]) }),
    [[0, 10, 255]],
    [-5, 0, 122.5],
  ],
  [
    "add: 0.5 * (a - 10) + 0.25 * b in codes of 1",
    (slots) => ({
      op: "add",
      name: "x",
      inputs: [slots.u8([1, 1, 3], 0.5, 10), slots.u8([1, 1, 3], 0.25, 0)],
      output: slots.u8([1, 1, 3], 1, 100),
      clamp: { min: -4, max: 200 },
    }),
    [
      [12, 10, 0],
      [4, 255, 0],
    ],
    [102, 164, 96],
  ],
  [
    "mul: one factor per channel",
    (slots) => ({
      op: "mul",
      name: "x",
      inputs: [slots.u8([2, 1, 2], 1, 1), slots.u8([1, 1, 2], 0.5, 0)],
      output: slots.f32([2, 1, 2]),
      clamp: NO_CLAMP,
    }),
    [
      [2, 3, 4, 5],
      [2, 6],
    ],
    [1, 6, 3, 12],
  ],
  [
    "max-pool: 2 x 2, padded at the top",
    (slots) => ({ ...pool(slots, [3, 2, 1]), op: "max-pool", pads: [1, 0, 0, 0] }),
    [[7, 1, 2, 3, 4, 5]],
    [7, 5],
  ],
  [
    "average-pool: padding does not count",
    (slots) => ({ ...pool(slots, [3, 2, 1]), op: "average-pool", pads: [1, 0, 0, 0] }),
    [[8, 2, 2, 4, 6, 8]],
    [5, 5],
  ],
  [
    "average-pool: padding counts as zero, whose code is 4",
    (slots) => ({ ...pool(slots, [3, 2, 1]), op: "average-pool", pads: [1, 0, 0, 0], countPadding: true }),
    [[8, 2, 2, 4, 6, 8]],
    [4, 5],
  ],
  [
    "lookup",
    (slots) => ({
      op: "lookup",
      name: "x",
      input: slots.u8([1, 1, 4]),
      output: slots.u8([1, 1, 4]),
      table: Uint8Array.from({ length: 256 }, (_, i) => 255 - i),
    }),
    [[0, 1, 254, 255]],
    [255, 254, 1, 0],
  ],
  [
    "softmax: e^0 : e^ln 3 per position",
    (slots) => ({ op: "softmax", name: "x", input: slots.f32([2, 1, 2]), output: slots.u8([2, 1, 2], 1 / 256, 0) }),
    [[0, Math.log(3), 1000, -1000]],
    [64, 192, 255, 0],
  ],
  [
    "pad",
    (slots) => ({
      op: "pad",
      name: "x",
      input: slots.u8([1, 2, 2]),
      output: slots.u8([2, 4, 2]),
      pads: [1, 1, 0, 1],
      code: 9,
    }),
    [[1, 2, 3, 4]],
    [9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 1, 2, 3, 4, 9, 9],
  ],
  [
    "transpose: [1, 2, 3] by (2, 0, 1) is [3, 1, 2]",
    (slots) => ({
      op: "transpose",
      name: "x",
      input: slots.u8([1, 2, 3]),
      output: slots.u8([3, 1, 2]),
      permutation: [2, 0, 1],
    }),
    [[1, 2, 3, 4, 5, 6]],
    [1, 4, 2, 5, 3, 6],
  ],
  ...([0, 1, 2] as const).map(concatExample),
  [
    "gather: windows of 1 x 2 over [[1, 2], [3, 4]], the zero point outside",
    (slots) => ({
      op: "gather",
      name: "x",
      ...PLAIN,
      kernel: [1, 2],
      pads: [0, 1, 0, 0],
      input: slots.u8([2, 2, 1], 1, 7),
      output: slots.u8([4, 1, 2], 1, 7),
    }),
    [[1, 2, 3, 4]],
    [7, 1, 1, 2, 7, 3, 3, 4],
  ],
  [
    "finish: 0.5 * gain * product + bias + surrogate: x = [1, 2], A = [1, 1], B = [10, 0]",
    (slots) => ({
      op: "finish",
      name: "x",
      vectors: slots.u8([1, 1, 2], 0.5, 2),
      product: slots.f32([1, 1, 2]),
      output: slots.f32([1, 1, 2]),
      gain: Float32Array.of(2, 4),
      bias: Float32Array.of(1, -9),
      surrogate: { rank: 1, a: Float32Array.of(1, 1), b: Float32Array.of(10, 0) },
      residual: undefined,
      clamp: RELU,
    }),
    [
      [4, 6],
      [3, 4],
    ],
    [34, 0],
  ],
];

/** 2 x 2 windows, zero point 4. */
function pool(slots: Slots, shape: Shape): Omit<PoolStep, "op"> {
  const input = slots.u8(shape, 1, 4);
  return {
    name: "x",
    ...PLAIN,
    kernel: [2, 2],
    stride: [2, 2],
    input,
    output: slots.u8([2, 1, 1], 1, 4),
    countPadding: false,
  };
}

function concatExample(axis: 0 | 1 | 2): Example {
  const shape = [2, 2, 2] as [number, number, number];
  const small = shape.with(axis, 1) as typeof shape;
  const output = { 0: [1, 2, 3, 4, 5, 6, 7, 8], 1: [1, 2, 5, 6, 3, 4, 7, 8], 2: [1, 5, 2, 6, 3, 7, 4, 8] }[axis];
  const step = (slots: Slots): Step => ({
    op: "concat",
    name: "x",
    inputs: [slots.u8(small), slots.u8(small)],
    output: slots.u8(shape),
    axis,
  });
  return [
    `concat along axis ${axis}`,
    step,
    [
      [1, 2, 3, 4],
      [5, 6, 7, 8],
    ],
    output,
  ];
}

for (const [name, make, inputs, output] of examples) {
  test(name, () => {
    for (const load of implementations) {
      const slots = new Slots();
      const step = make(slots);
      const kernels = load(slots.bytes);
      const run = kernels.bind(step);
      for (const [i, slot] of inputsOf(step).entries()) values(kernels, slot).set(inputs[i]);
      run();
      assert.equal([...values(kernels, step.output)], output, kernels.name);
    }
  });
}

test.run();
