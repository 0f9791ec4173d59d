import { suite } from "uvu";
import * as assert from "uvu/assert";
import { isFailure } from "../../runtime/base/failure.ts";
import type { LoadKernels } from "../../runtime/kernels/kernels.ts";
import { loadReference } from "../../runtime/kernels/reference.ts";
import type { ConvStep, Slot, Step } from "../../runtime/kernels/step.ts";
import { loadPlain } from "../../runtime/kernels/wasm.ts";
import { NO_CLAMP } from "../../runtime/model/graph.ts";
import { allWasm } from "../support/all-wasm.ts";
import { convStep, depthwiseStep, type Shape, Slots, withChannels } from "../support/kernel-steps.ts";

const test = suite("kernels: memory and checks");
const implementations: LoadKernels[] = [loadReference, ...(await allWasm())];

/** input -> conv (with a border) -> pad (done by the reference on every memory) -> lookup */
function chain(): { steps: Step[]; slots: Slots; input: Slot; output: Slot } {
  const { step, slots } = convStep(
    { input: [6, 6, 16], columns: 16, window: { kernel: [3, 3], pads: [1, 1, 1, 1] } },
    1,
  );
  const padded = slots.u8([8, 8, 16]);
  const output = slots.u8([8, 8, 16]);
  const pad: Step = { op: "pad", name: "pad", input: step.output, output: padded, pads: [1, 1, 1, 1], code: 3 };
  const table = Uint8Array.from({ length: 256 }, (_, i) => 255 - i);
  const lookup: Step = { op: "lookup", name: "lookup", input: padded, output, table };
  return { steps: [step, pad, lookup], slots, input: step.input, output };
}

for (const load of implementations) {
  const { name } = load(16);

  test(`${name}: steps bound early still work after the memory grew`, () => {
    const { steps, slots, input, output } = chain();
    const kernels = load(slots.bytes);
    const bound = steps.map((step) => kernels.bind(step));
    const answer = (): number[] => {
      kernels.u8(input).fill(200);
      for (const run of bound) run();
      return [...kernels.u8(output)];
    };
    const before = answer();
    const bytes = kernels.constantBytes;
    const large = convStep({ input: [1, 1, 400], columns: 500 }, 2).step;
    kernels.bind({ ...large, input: { ...large.input, offset: 0 }, output: { ...large.output, offset: 416 } });
    assert.ok(kernels.constantBytes >= bytes + 400 * 500);
    assert.equal(answer(), before);
    assert.ok(new Set(before).size > 10, "the answer says something");
  });

  test(`${name}: nothing to do is done`, () => {
    const empty: [Shape, number][] = [
      [[0, 5, 8], 8],
      [[2, 2, 8], 0],
      [[2, 2, 0], 8],
      [[0, 0, 0], 0],
    ];
    for (const [input, columns] of empty) {
      const { step, slots } = convStep({ input, columns, rank: 2 }, 3);
      load(slots.bytes).bind(step)();
      const other = depthwiseStep({ input }, 4);
      load(other.slots.bytes).bind(other.step)();
      const [a, b] = [slots.u8(input), slots.u8(input)];
      const add: Step = { op: "add", name: "add", inputs: [a, a], output: b, clamp: NO_CLAMP };
      load(slots.bytes).bind(add)();
    }
    assert.is(load(0).u8({ ...convStep({ input: [1, 1, 1], columns: 1 }, 5).step.input, shape: [1, 1, 0] }).length, 0);
  });

  test(`${name}: an output may take the place of the input, number by number`, () => {
    const slots = new Slots();
    const [a, b] = [slots.u8([3, 3, 10], 0.5, 7), slots.u8([1, 1, 10], 0.5, 7)];
    const kernels = load(slots.bytes);
    const add = kernels.bind({ op: "add", name: "add", inputs: [a, b], output: a, clamp: NO_CLAMP });
    kernels.u8(a).forEach((_, i, codes) => {
      codes[i] = i;
    });
    kernels.u8(b).fill(8);
    add();
    assert.equal(
      [...kernels.u8(a)],
      Array.from({ length: 90 }, (_, i) => i + 1),
    );
  });

  test(`${name}: an arena that no memory can hold`, () => {
    assert.throws(
      () => load(2 ** 44),
      (error: unknown) => isFailure(error, "plan/does-not-fit"),
    );
  });

  for (const [what, change] of Object.entries(badSteps())) {
    test(`${name} refuses ${what}`, () => {
      const { step, slots } = convStep({ input: [4, 4, 8], columns: 8, window: { kernel: [2, 2] }, rank: 2 }, 6);
      const kernels = load(slots.bytes);
      const bad = { ...step, ...change(step) } as Step;
      const named = (error: unknown): boolean =>
        isFailure(error, "plan/unsupported") && / conv 6: expected/.test(error.message);
      assert.throws(() => kernels.bind(bad), named);
    });
  }
}

function badSteps(): Record<string, (step: ConvStep) => object> {
  return {
    "a slot outside the arena": ({ output }) => ({ output: { ...output, offset: 4096 } }),
    "a slot between multiples of 16": ({ output }) => ({ output: { ...output, offset: output.offset + 4 } }),
    "a negative offset": ({ input }) => ({ input: { ...input, offset: -16 } }),
    "a shape of two axes": ({ input }) => ({ input: { ...input, shape: [16, 8] } }),
    "a fractional shape": ({ input }) => ({ input: { ...input, shape: [3.5, 4, 8] } }),
    "a scale of zero": ({ input }) => ({ input: { ...input, scale: 0 } }),
    "a zero point of 256": ({ input }) => ({ input: { ...input, zeroPoint: 256 } }),
    "a channel with a scale of zero": ({ output }) => ({ output: { ...output, channels: new Float32Array(8) } }),
    "scales of fewer channels": ({ output }) => ({ output: { ...output, channels: Float32Array.of(1, 1) } }),
    "channels of an input that it sums up": ({ input }) => ({ input: withChannels(input, 1) }),
    "a bound on channels of several scales": ({ output }) => ({
      output: withChannels(output, 1),
      clamp: { min: 0, max: 6 },
    }),
    "an f32 input": ({ input }) => ({ input: { ...input, type: "f32", shape: [1, 1, 8] } }),
    "windows beyond the input": () => ({ kernel: [3, 3] }),
    "a stride of zero": () => ({ stride: [0, 1] }),
    "negative pads": () => ({ pads: [-1, 1, 1, 1] }),
    "missing codes": ({ weights }) => ({ weights: { ...weights, codes: new Int8Array(3) } }),
    "missing scales": ({ weights }) => ({ weights: { ...weights, blockLength: 8 } }),
    "blocks of no weights": ({ weights }) => ({ weights: { ...weights, blockLength: 0 } }),
    "a short bias": () => ({ bias: new Float32Array(7) }),
    "a short surrogate": () => ({ surrogate: { rank: 2, a: new Float32Array(64), b: new Float32Array(15) } }),
    "a short table": ({ input }) => ({ op: "lookup", output: input, table: new Uint8Array(255) }),
    "a transposition of one axis": ({ input }) => ({ op: "transpose", output: input, permutation: [0, 0, 0] }),
    "a concatenation that does not add up": ({ input }) => ({
      op: "concat",
      inputs: [input, input],
      output: input,
      axis: 2,
    }),
    "a sum of different shapes": ({ input, output }) => ({ op: "add", inputs: [input, output], output: input }),
    "a pad to the wrong shape": ({ input }) => ({ op: "pad", output: input, pads: [1, 0, 0, 0], code: 0 }),
    "gathered rows of the wrong length": ({ output }) => ({ op: "gather", output: { ...output, shape: [9, 1, 8] } }),
    "a product of the wrong type": ({ input, output }) => ({ op: "finish", vectors: input, product: output }),
    "a dequantization to codes": () => ({ op: "dequantize" }),
    "a pool that changes the channels": ({ output }) => ({ op: "max-pool", output: { ...output, shape: [3, 3, 7] } }),
    "depthwise weights in blocks": ({ weights }) => ({
      op: "depthwise",
      weights: { ...weights, rows: 4, blockLength: 2 },
    }),
  };
}

test("kernels that were not built, or are damaged", async () => {
  const files = { "runtime/kernels/none.wasm": "input/missing", "package.json": "input/malformed" } as const;
  for (const [path, code] of Object.entries(files)) {
    const error = await loadPlain(new URL(`../../${path}`, import.meta.url)).catch((reason: unknown) => reason);
    assert.ok(isFailure(error, code), `${path}: ${String(error)}`);
  }
});

test.run();
