import { readFileSync } from "node:fs";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { uniform } from "../../runtime/base/random.ts";
import { loadReference } from "../../runtime/kernels/reference.ts";
import type { Step } from "../../runtime/kernels/step.ts";
import { descriptors } from "../../runtime/kernels/wasm-descriptors.ts";
import { RELU, type Window } from "../../runtime/model/graph.ts";
import { allWasm } from "../support/all-wasm.ts";
import {
  type Built,
  type ConvCase,
  convStep,
  depthwiseStep,
  ONE_BLOCK,
  outputSize,
  PLAIN,
  type Shape,
  Slots,
  withChannels,
} from "../support/kernel-steps.ts";
import { checkFormula, run } from "../support/kernel-trial.ts";

const test = suite("kernels");
const implementations = [loadReference, ...(await allWasm())];

/**
 * How far a stored number may be from the f64 formula of step.ts, beyond the rounding to a code: in codes for u8,
 * in real units (results are about +- 1) for f32. Between the implementations nothing may differ. Tighten, never loosen.
 */
const tolerance = {
  u8: { plain: 1e-5, surrogate: 1e-4 },
  f32: { plain: 1e-6, surrogate: 2e-6 },
} as const;

function checkAll({ step, slots }: Built<Step>, seed: number, kind: "plain" | "surrogate" = "plain"): void {
  const [reference, ...others] = implementations.map((load) => run(load, step, slots, seed));
  checkFormula(step, reference, tolerance[step.output.type][kind]);
  for (const [i, { output }] of others.entries()) {
    assert.equal(output, reference.output, `${step.op}: ${implementations[i + 1](0).name} differs from the reference`);
  }
}

const same3x3: Partial<Window> = { kernel: [3, 3], pads: [1, 1, 1, 1] };
const relu6 = { min: 0, max: 0.6 };
const convolutions: Record<string, ConvCase> = {
  "dense 64 -> 12": { input: [1, 1, 64], columns: 12 },
  "dense 10 -> 1": { input: [1, 1, 10], columns: 1 },
  "dense 1 -> 3, f32": { input: [1, 1, 1], columns: 3, type: "f32" },
  "dense 640 -> 128, blocks of 32": { input: [1, 1, 640], columns: 128, blockLength: 32 },
  "dense 130 -> 40, f32, blocks of 64, rank 8": {
    input: [1, 1, 130],
    columns: 40,
    blockLength: 64,
    rank: 8,
    type: "f32",
  },
  "dense 17 -> 35, blocks of 8, rank 3": { input: [1, 1, 17], columns: 35, blockLength: 8, rank: 3 },
  "dense on three rows": { input: [3, 1, 12], columns: 17 },
  "pointwise 25x5x16 -> 16": { input: [25, 5, 16], columns: 16, clamp: RELU },
  "pointwise 3x3x10 -> 17, rank 0": { input: [3, 3, 10], columns: 17, rank: 0 },
  "pointwise 5x7x17 -> 10, f32, rank 1": { input: [5, 7, 17], columns: 10, rank: 1, type: "f32" },
  "pointwise 4x4x24 -> 9, blocks of 10, rank 11": { input: [4, 4, 24], columns: 9, blockLength: 10, rank: 11 },
  "pointwise, stride 2": { input: [7, 8, 12], columns: 8, window: { stride: [2, 2] } },
  "3x3x16 -> 16, blocks of 32, rank 8": { input: [9, 11, 16], columns: 16, window: same3x3, blockLength: 32, rank: 8 },
  "3x3x3 -> 8": { input: [9, 9, 3], columns: 8, window: same3x3, clamp: relu6 },
  "3x3x3 -> 5, f32, blocks of 8": {
    input: [6, 5, 3],
    columns: 5,
    window: same3x3,
    blockLength: 8,
    type: "f32",
    clamp: RELU,
  },
  "3x3x10 -> 12, stride 2, pads at the end": {
    input: [8, 8, 10],
    columns: 12,
    window: { kernel: [3, 3], stride: [2, 2], pads: [0, 0, 1, 1] },
    blockLength: 32,
  },
  "3x3x5 -> 9, dilation 2, rank 3": {
    input: [9, 8, 5],
    columns: 9,
    window: { kernel: [3, 3], dilation: [2, 2], pads: [2, 2, 2, 2] },
    blockLength: 8,
    rank: 3,
  },
  "10x4x1 -> 12, stride 2 (keyword spotting)": {
    input: [49, 10, 1],
    columns: 12,
    window: { kernel: [10, 4], stride: [2, 2], pads: [4, 1, 5, 1] },
    clamp: RELU,
  },
  "1x5x2 -> 3, stride 1 x 3": {
    input: [4, 11, 2],
    columns: 3,
    window: { kernel: [1, 5], stride: [1, 3], pads: [0, 2, 0, 0] },
  },
  "3x3x8 -> 8, residual": {
    input: [5, 5, 8],
    columns: 8,
    window: same3x3,
    residual: true,
    clamp: RELU,
  },
  "pointwise 5x3x12 -> 19, residual, rank 2, f32": {
    input: [5, 3, 12],
    columns: 19,
    residual: true,
    rank: 2,
    type: "f32",
  },
  "dense 40 -> 45, residual": { input: [1, 1, 40], columns: 45, residual: true },
  "a window as large as the input": { input: [5, 4, 6], columns: 10, window: { kernel: [5, 4] }, blockLength: 64 },
};

for (const [name, of] of Object.entries(convolutions)) {
  test(`conv2d ${name}`, () => {
    for (const narrow of [false, true]) checkAll(convStep({ ...of, narrow }, 10), 10, of.rank ? "surrogate" : "plain");
  });
}

const depthwises: Record<string, Omit<ConvCase, "columns">> = {
  "3x3x64": { input: [5, 5, 64], window: same3x3 },
  "3x3x10, f32, relu": { input: [4, 6, 10], window: same3x3, type: "f32", clamp: RELU },
  "3x3x1, stride 2": { input: [7, 7, 1], window: { ...same3x3, stride: [2, 2] } },
  "3x3x19, stride 2 x 1, f32": { input: [6, 7, 19], window: { ...same3x3, stride: [2, 1] }, type: "f32" },
  "3x3x12, stride 1 x 3": { input: [5, 9, 12], window: { kernel: [3, 3], stride: [1, 3] }, clamp: relu6 },
  "3x3x6, wide pads": { input: [3, 12, 6], window: { kernel: [3, 3], pads: [3, 2, 1, 4] } },
  "2x3x17, pads left and top": { input: [5, 5, 17], window: { kernel: [2, 3], pads: [1, 2, 0, 0] } },
  "5x5x12, dilation 2, relu6": {
    input: [9, 9, 12],
    window: { kernel: [5, 5], dilation: [2, 2], pads: [4, 4, 4, 4] },
    clamp: relu6,
  },
  "25x5x8, the whole input": { input: [25, 5, 8], window: { kernel: [25, 5] } },
};

for (const [name, of] of Object.entries(depthwises)) {
  test(`depthwise ${name}`, () => {
    for (const seed of [30, 40]) checkAll(depthwiseStep({ ...of, narrow: seed === 40 }, seed), seed);
  });
}

/** Anything small, from a seed. */
function randomCase(seed: number): ConvCase {
  const next = uniform(seed);
  const pick = <T>(...choices: T[]): T => choices[Math.floor(next() * choices.length)];
  const pair = (...choices: number[]): [number, number] => [pick(...choices), pick(...choices)];
  const kernel = pair(1, 1, 2, 3, 5);
  const dilation = pair(1, 1, 2);
  const reach = (axis: 0 | 1): number => (kernel[axis] - 1) * dilation[axis];
  const pad = (axis: 0 | 1): number => Math.floor(next() * (reach(axis) + 1));
  return {
    input: [1 + reach(0) + pick(0, 1, 4), 1 + reach(1) + pick(0, 2, 3), pick(1, 2, 3, 4, 7, 8, 10, 17, 32)],
    columns: pick(1, 3, 8, 10, 12, 16, 17, 33),
    window: { kernel, dilation, stride: pair(1, 1, 2), pads: [pad(0), pad(1), pad(0), pad(1)] },
    blockLength: pick(5, 8, 32, 64, ONE_BLOCK),
    rank: pick(0, 1, 3, 8),
    residual: pick(true, false),
    narrow: pick(true, false),
    type: pick("u8", "f32"),
    clamp: pick({ min: Number.NEGATIVE_INFINITY, max: Number.POSITIVE_INFINITY }, RELU, relu6),
  };
}

test("channels with scales of their own: a layer writes them, a depthwise one reads them", () => {
  const of: ConvCase = { input: [5, 6, 12], columns: 19, window: same3x3, blockLength: 32, rank: 3, clamp: RELU };
  for (const narrow of [false, true]) {
    const conv = convStep({ ...of, narrow }, 50);
    checkAll({ ...conv, step: { ...conv.step, output: withChannels(conv.step.output, 5) } }, 50, "surrogate");
    const deep = depthwiseStep({ ...of, narrow }, 60);
    const { input, output } = deep.step;
    checkAll({ ...deep, step: { ...deep.step, input: withChannels(input, 6), output: withChannels(output, 7) } }, 60);
  }
});

test("conv2d and depthwise of random shapes", () => {
  for (let seed = 1000; seed < 1120; seed++) {
    const of = randomCase(seed);
    checkAll(convStep(of, seed), seed, "surrogate");
    checkAll(depthwiseStep(of, seed), seed);
  }
});

test("the greatest codes and weights overflow nothing", () => {
  for (const code of [0, 255]) {
    const { step, slots } = convStep({ input: [1, 1, 3000], columns: 8, rank: 2, type: "f32" }, 90);
    step.weights.codes.fill(127);
    step.surrogate?.a.fill(0.1);
    const [reference, ...others] = implementations.map((load) => run(load, step, slots, 90, code));
    checkFormula(step, reference, tolerance.f32.surrogate * 60); // results are about +- 60
    for (const { output } of others) assert.equal(output, reference.output);

    const other = new Slots();
    const window = { ...PLAIN, kernel: [20, 20] } as const;
    const input = other.u8([20, 20, 8], 0.01, 7);
    const output = other.f32([1, 1, 8]);
    const pool: Step = { op: "average-pool", name: "pool", ...window, input, output, countPadding: false };
    for (const load of implementations) checkFormula(pool, run(load, pool, other, 91, code), tolerance.f32.plain);
  }
});

test("sums too great to be rounded end at the bounds", () => {
  for (const build of [convStep, depthwiseStep]) {
    const { step, slots } = build({ input: [5, 5, 16], columns: 16, window: same3x3, narrow: true }, 92);
    const far = { ...step, output: { ...step.output, scale: 1e-9 } };
    const [reference, ...others] = implementations.map((load) => run(load, far, slots, 92));
    assert.equal(new Set(reference.output), new Set([0, 255]));
    for (const { output } of others) assert.equal(output, reference.output);
  }
});

const shapes: Shape[] = [
  [1, 1, 1],
  [3, 5, 7],
  [4, 4, 16],
  [1, 1, 250],
  [2, 3, 33],
];

for (const op of ["quantize", "dequantize"] as const) {
  test(op, () => {
    for (const shape of shapes) {
      const slots = new Slots();
      const u8 = (): ReturnType<Slots["u8"]> => slots.u8(shape, 0.0037, 99);
      const [input, output] = op === "quantize" ? [slots.f32(shape), u8()] : [u8(), slots.f32(shape)];
      checkAll({ step: { op, name: op, input, output }, slots }, 50);
    }
  });
}

for (const op of ["add", "mul"] as const) {
  for (const types of ["u8 u8 u8", "u8 u8 f32", "f32 f32 f32", "u8 f32 u8"]) {
    test(`${op} ${types}`, () => {
      for (const shape of shapes) {
        for (const second of [shape, [1, 1, shape[2]] as const]) {
          const [a, b, c] = types.split(" ");
          const slots = new Slots();
          const first = a === "u8" ? slots.u8(shape, 0.0061, 120) : slots.f32(shape);
          const other = b === "u8" ? slots.u8(second, 0.0043, 10) : slots.f32(second);
          const output = c === "u8" ? slots.u8(shape, 0.0078, 60) : slots.f32(shape);
          checkAll({ step: { op, name: op, inputs: [first, other], output, clamp: relu6 }, slots }, 60);
        }
      }
    });
  }
}

const pools: Record<string, [input: Shape, window: Partial<Window>, countPadding?: boolean]> = {
  "2x2x16, stride 2": [[6, 6, 16], { kernel: [2, 2], stride: [2, 2] }],
  "3x3x10, stride 2, padded": [[7, 6, 10], { ...same3x3, stride: [2, 2] }],
  "3x3x17, padding counts": [[5, 5, 17], same3x3, true],
  "global 25x5x64": [[25, 5, 64], { kernel: [25, 5] }],
  "global 20x20x3": [[20, 20, 3], { kernel: [20, 20] }],
  "2x2x40, dilation 2": [[4, 4, 40], { kernel: [2, 2], dilation: [2, 2] }],
};

for (const [name, [shape, part, countPadding = false]] of Object.entries(pools)) {
  for (const op of ["max-pool", "average-pool"] as const) {
    for (const type of ["u8", "f32"] as const) {
      test(`${op} ${name} ${type}`, () => {
        const window = { ...PLAIN, ...part };
        const slots = new Slots();
        const size: Shape = [...outputSize(shape, window), shape[2]];
        const place = (of: Shape, scale: number) => (type === "u8" ? slots.u8(of, scale, 77) : slots.f32(of));
        const input = place(shape, 0.01);
        const output = place(size, op === "max-pool" ? 0.01 : 0.0087);
        checkAll({ step: { op, name, ...window, input, output, countPadding }, slots }, 70);
      });
    }
  }
}

for (const [from, to] of [
  ["u8", "f32"],
  ["f32", "f32"],
  ["u8", "u8"],
] as const) {
  test(`softmax ${from} -> ${to}`, () => {
    const slots = new Slots();
    const input = from === "u8" ? slots.u8([2, 2, 10], 0.05, 3) : slots.f32([2, 2, 10]);
    const output = to === "u8" ? slots.u8([2, 2, 10], 1 / 256, 0) : slots.f32([2, 2, 10]);
    checkAll({ step: { op: "softmax", name: "softmax", input, output }, slots }, 80);
  });
}

test("structs have the same fields on both sides", () => {
  const source = readFileSync("runtime/kernels/assembly/descriptors.ts", "utf8");
  for (const [name, fields] of Object.entries(descriptors)) {
    const [, body = ""] = source.match(new RegExp(`class ${name} \\{(.*?)\\n\\}`, "s")) ?? [];
    const found = [...body.matchAll(/^ {2}(\w+): (\w+);$/gm)].map(([, field, type]) => [field, type]);
    assert.equal(found, Object.entries(fields), name);
  }
});

test.run();
