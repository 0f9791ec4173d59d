import { Failure } from "../base/failure.ts";
import { GATES, type Window } from "../model/graph.ts";
import type { LowRank, QuantizedMatrix } from "../model/stages.ts";
import { sameShape, shapeText, sizeOf } from "../tensor/tensor.ts";
import { bytesOf } from "./arena.ts";
import { windowsAcross } from "./reference-layout.ts";
import type * as steps from "./step.ts";
import type { Slot, Step } from "./step.ts";

/**
 * Everything that an implementation relies on, so that no step reads or writes outside its slots.
 * @throws Failure `plan/unsupported` that names the step.
 */
export function checkStep(step: Step, arenaBytes: number): void {
  const claim = claimOf(step);
  for (const slot of slotsOf(step)) checkSlot(slot, arenaBytes, claim);
  checkChannels(step, claim);
  const check = checks[step.op] as (step: Step, claim: Claim) => void;
  check(step, claim);
}

type Claim = (holds: boolean, expected: string, found: unknown) => void;
type StepOf<Op, S = Step> = S extends { readonly op: infer Ops } ? (Op extends Ops ? S : never) : never;

const checks: { readonly [Op in Step["op"]]: (step: StepOf<Op>, claim: Claim) => void } = {
  conv2d: checkConv,
  depthwise: checkDepthwise,
  quantize: (step, claim) => checkSame(step, "f32", "u8", claim),
  dequantize: (step, claim) => checkSame(step, "u8", "f32", claim),
  add: checkElementwise,
  mul: checkElementwise,
  "max-pool": (step, claim) => {
    checkPool(step, claim);
    claim(step.input.type === step.output.type, `${step.input.type} out`, step.output.type);
  },
  "average-pool": checkPool,
  lookup: (step, claim) => {
    checkSame(step, "u8", "u8", claim);
    claim(step.table.length === 256, "a table of 256 codes", step.table.length);
  },
  softmax: (step, claim) => checkSame(step, step.input.type, step.output.type, claim),
  pad: checkPad,
  transpose: checkTranspose,
  slice: checkSlice,
  concat: checkConcat,
  recurrence: checkRecurrence,
  gather: checkGather,
  finish: checkFinish,
};

function claimOf({ op, name }: Step): Claim {
  return (holds, expected, found) => {
    if (holds) return;
    const text = `${op} ${name}: expected ${expected}, found ${String(found)}`;
    throw new Failure("plan/unsupported", text, { step: name });
  };
}

function slotsOf(step: Step): readonly Slot[] {
  if ("inputs" in step) return [...step.inputs, step.output];
  if (step.op === "recurrence") return [step.input, step.output, ...slotsOf(step.product)];
  const inputs = step.op === "finish" ? [step.vectors, step.product] : [step.input];
  return "residual" in step && step.residual ? [...inputs, step.residual, step.output] : [...inputs, step.output];
}

function checkSlot(slot: Slot, arenaBytes: number, claim: Claim): void {
  const { offset, shape, type, scale, zeroPoint } = slot;
  claim(shape.length === 3 && shape.every(isCount), "[height, width, channels]", shapeText(shape));
  claim(offset >= 0 && offset % 16 === 0, "a slot at a multiple of 16", offset);
  const end = offset + bytesOf(slot);
  claim(end <= arenaBytes, `a slot inside the ${arenaBytes} bytes of the arena`, `one up to ${end}`);
  if (type === "f32") return;
  claim(scale > 0 && Number.isFinite(scale), "a scale above 0", scale);
  claim(isCount(zeroPoint) && zeroPoint <= 255, "a zero point of 0 .. 255", zeroPoint);
}

/** Steps that take channels with scales of their own, or write them. */
const readsChannels: ReadonlySet<Step["op"]> = new Set(["depthwise"]);
const writesChannels: ReadonlySet<Step["op"]> = new Set(["conv2d", "depthwise", "finish"]);

function checkChannels(step: Step, claim: Claim): void {
  for (const slot of slotsOf(step)) {
    const { channels, shape } = slot;
    if (!channels) continue;
    const known = slot === step.output ? writesChannels.has(step.op) : readsChannels.has(step.op);
    claim(known, "channels of one scale", "channels with scales of their own");
    claim(channels.length === shape[2] && channels.every((s) => s > 0), `${shape[2]} scales above 0`, channels.length);
  }
  const bounded = "clamp" in step && [step.clamp.min, step.clamp.max].some((end) => end !== 0 && Number.isFinite(end));
  claim(!step.output.channels || !bounded, "no bound but 0 beside scales of channels", "a clamp");
}

/** The windows of `height` x `width` outputs stay on the input and its border. */
function checkWindow(step: Window & { input: Slot }, [height, width]: readonly number[], claim: Claim): void {
  const { kernel, stride, dilation, pads, input } = step;
  const positive = [...kernel, ...stride, ...dilation].every((n) => isCount(n) && n > 0);
  claim(positive, "kernel, stride and dilation above 0", [kernel, stride, dilation].join(" / "));
  claim(pads.every(isCount), "pads of 0 or more", pads);
  const outputs = [height, width];
  for (const axis of [0, 1] as const) {
    const reach = (outputs[axis] - 1) * stride[axis] + (kernel[axis] - 1) * dilation[axis] + 1;
    const room = input.shape[axis] + pads[axis] + pads[axis + 2];
    claim(outputs[axis] === 0 || reach <= room, `windows within ${room} along axis ${axis}`, reach);
  }
}

function checkConv(step: steps.ConvStep, claim: Claim): void {
  const { input, output, weights, kernel } = step;
  claim(input.type === "u8", "a u8 input", input.type);
  claim(output.shape[2] === weights.columns, `${weights.columns} output channels`, output.shape[2]);
  checkWindow(step, output.shape, claim);
  checkMatrix(weights, kernel[0] * kernel[1] * input.shape[2], step.bias, claim);
  checkSurrogate(step.surrogate, weights.rows, weights.columns, claim);
  checkResidual(step, claim);
}

function checkDepthwise(step: steps.DepthwiseStep, claim: Claim): void {
  const { input, output, weights, kernel } = step;
  const [, , channels] = input.shape;
  claim(input.type === "u8", "a u8 input", input.type);
  claim(output.shape[2] === channels, `${channels} output channels`, output.shape[2]);
  claim(weights.columns === channels, `${channels} columns of weights`, weights.columns);
  claim(weights.blockLength >= weights.rows, "one scale per channel", `blocks of ${weights.blockLength}`);
  checkWindow(step, output.shape, claim);
  checkMatrix(weights, kernel[0] * kernel[1], step.bias, claim);
}

/** 2^16 products of 255 and 127 are still below 2^31: whatever the weights, 32 bits hold all sums (A2Q, arXiv 2301.13376). */
const LONGEST = 2 ** 16;

function checkMatrix(weights: QuantizedMatrix, expected: number, bias: Float32Array, claim: Claim): void {
  const { rows, columns, codes, scales, blockLength } = weights;
  claim(rows === expected, `${expected} rows of weights`, rows);
  claim(isCount(blockLength) && blockLength > 0, "blocks of 1 weight or more", blockLength);
  claim(Math.min(rows, blockLength) <= LONGEST, `blocks of at most ${LONGEST} weights`, blockLength);
  claim(codes.length === rows * columns, `${rows} x ${columns} codes`, codes.length);
  const blocks = Math.ceil(rows / blockLength);
  claim(scales.length === blocks * columns, `${blocks} x ${columns} scales`, scales.length);
  claim(bias.length === columns, `${columns} biases`, bias.length);
}

function checkSurrogate(surrogate: LowRank | undefined, rows: number, columns: number, claim: Claim): void {
  if (!surrogate) return;
  const { rank, a, b } = surrogate;
  claim(isCount(rank), "a rank of 0 or more", rank);
  claim(rank === 0 || rows <= LONGEST, `at most ${LONGEST} rows beside a surrogate`, rows);
  claim(a.length === rows * rank, `A of ${rows} x ${rank}`, a.length);
  claim(b.length === rank * columns, `B of ${rank} x ${columns}`, b.length);
}

function checkResidual({ residual, output }: steps.ConvStep | steps.FinishStep, claim: Claim): void {
  if (!residual) return;
  claim(residual.type === "u8", "a u8 residual", residual.type);
  checkShape(residual, output.shape, claim);
}

function checkPool(step: steps.PoolStep, claim: Claim): void {
  const [, , channels] = step.input.shape;
  claim(step.output.shape[2] === channels, `${channels} output channels`, step.output.shape[2]);
  checkWindow(step, step.output.shape, claim);
}

function checkSame(step: { input: Slot; output: Slot }, from: string, to: string, claim: Claim): void {
  const { input, output } = step;
  claim(input.type === from && output.type === to, `${from} in, ${to} out`, `${input.type}, ${output.type}`);
  const size = sizeOf(input.shape);
  claim(sizeOf(output.shape) === size, `${size} outputs`, sizeOf(output.shape));
}

function checkElementwise({ inputs: [a, b], output }: steps.ElementwiseStep, claim: Claim): void {
  const size = sizeOf(output.shape);
  claim(sizeOf(a.shape) === size, `a first input like ${shapeText(output.shape)}`, shapeText(a.shape));
  const fits = sizeOf(b.shape) === size || sizeOf(b.shape) === output.shape[2];
  claim(fits, `a second input like ${shapeText(output.shape)} or [1, 1, C]`, shapeText(b.shape));
}

function checkPad({ input, output, pads }: steps.PadStep, claim: Claim): void {
  const [height, width, channels] = input.shape;
  claim(pads.every(isCount), "pads of 0 or more", pads);
  checkShape(output, [height + pads[0] + pads[2], width + pads[1] + pads[3], channels], claim);
  claim(input.type === output.type, `${input.type} out`, output.type);
}

function checkTranspose({ input, output, permutation }: steps.TransposeStep, claim: Claim): void {
  claim([...permutation].sort().join() === "0,1,2", "an order of the axes 0, 1, 2", permutation);
  const shape = permutation.map((axis) => input.shape[axis]);
  checkShape(output, shape, claim);
  claim(input.type === output.type, `${input.type} out`, output.type);
}

function checkSlice({ input, output, axis, start }: steps.SliceStep, claim: Claim): void {
  const length = output.shape[axis];
  claim(isCount(start) && start + length <= input.shape[axis], `a part of ${input.shape[axis]}`, [start, length]);
  const fits = output.shape.every((size, i) => i === axis || size === input.shape[i]) && input.type === output.type;
  claim(
    fits,
    `${input.type} ${shapeText(input.shape)} but for axis ${axis}`,
    `${output.type} ${shapeText(output.shape)}`,
  );
}

function checkRecurrence({ cell, input, output, product }: steps.RecurrenceStep, claim: Claim): void {
  const [steps, , length] = output.shape;
  const columns = GATES[cell] * length;
  claim(output.type === "u8", "u8 out", output.type);
  checkShape(output, [steps, 1, length], claim);
  checkShape(input, [steps, 1, columns], claim);
  checkConv(product, claim);
  checkShape(product.input, [1, 1, length], claim);
  checkShape(product.output, [1, 1, columns], claim);
  claim(product.output.type === "f32", "gates in f32", product.output.type);
}

function checkConcat({ inputs, output, axis }: steps.ConcatStep, claim: Claim): void {
  const length = inputs.reduce((sum, { shape }) => sum + shape[axis], 0);
  claim(length === output.shape[axis], `${output.shape[axis]} in all along axis ${axis}`, length);
  for (const { shape, type } of inputs) {
    const alike = type === output.type && shape.every((size, i) => i === axis || size === output.shape[i]);
    claim(alike, `inputs like the output, ${output.type} ${shapeText(output.shape)}`, `${type} ${shapeText(shape)}`);
  }
}

function checkGather(step: steps.GatherStep, claim: Claim): void {
  const { input, output, kernel } = step;
  const [count] = output.shape;
  claim(input.type === "u8" && output.type === "u8", "u8 in and out", `${input.type}, ${output.type}`);
  checkShape(output, [count, 1, kernel[0] * kernel[1] * input.shape[2]], claim);
  const across = Math.max(1, windowsAcross(step));
  claim(count % across === 0, `whole rows of ${across} windows`, count);
  checkWindow(step, [count / across, count === 0 ? 0 : across], claim);
}

function checkFinish(step: steps.FinishStep, claim: Claim): void {
  const { vectors, product, output, gain, bias } = step;
  const [count, , rows] = vectors.shape;
  const [, , columns] = output.shape;
  claim(
    vectors.type === "u8" && product.type === "f32",
    "u8 vectors and an f32 product",
    `${vectors.type}, ${product.type}`,
  );
  checkShape(vectors, [count, 1, rows], claim);
  checkShape(product, [count, 1, columns], claim);
  claim(sizeOf(output.shape) === count * columns, `${count} output positions`, shapeText(output.shape));
  claim(
    gain.length === columns && bias.length === columns,
    `${columns} gains and biases`,
    `${gain.length}, ${bias.length}`,
  );
  checkSurrogate(step.surrogate, rows, columns, claim);
  checkResidual(step, claim);
}

function checkShape({ shape }: Slot, expected: readonly number[], claim: Claim): void {
  claim(sameShape(shape, expected), shapeText(expected), shapeText(shape));
}

function isCount(n: number): boolean {
  return Number.isInteger(n) && n >= 0;
}
