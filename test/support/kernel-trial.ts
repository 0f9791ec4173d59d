import * as assert from "uvu/assert";
import type { Kernels, LoadKernels } from "../../runtime/kernels/kernels.ts";
import type { Slot, Step } from "../../runtime/kernels/step.ts";
import { sizeOf } from "../../runtime/tensor/tensor.ts";
import { formulaOf, type Read } from "./kernel-formulas.ts";
import { randomCodes, randomFloats, type Slots } from "./kernel-steps.ts";

export interface Numbers {
  readonly inputs: readonly (Uint8Array | Float32Array)[];
  readonly output: Uint8Array | Float32Array;
}

const GUARD = 0xa5;

/** Runs a step twice on seeded random inputs (or on `code` everywhere), checks that it wrote nothing but its output, and returns all numbers. */
export function run(load: LoadKernels, step: Step, slots: Slots, seed: number, code?: number): Numbers {
  const kernels = load(slots.bytes);
  const go = kernels.bind(step);
  const arena = kernels.u8({ offset: 0, shape: [1, 1, slots.bytes], type: "u8", scale: 1, zeroPoint: 0 });
  arena.fill(GUARD);
  const inputs = inputsOf(step).map((slot, i) => fill(kernels, slot, seed + i, code));
  go();
  const first = values(kernels, step.output).slice();
  go();
  const output = values(kernels, step.output).slice();
  assert.equal(output, first, `${kernels.name} ${step.name}: a second run differs`);
  checkGuards(kernels.name, step, arena, slots);
  inputsOf(step).forEach((slot, i) => {
    assert.equal(values(kernels, slot).slice(), inputs[i], `${kernels.name} ${step.name}: input ${i} changed`);
  });
  return { inputs, output };
}

function checkGuards(name: string, step: Step, arena: Uint8Array, slots: Slots): void {
  for (const [i, slot] of slots.all.entries()) {
    const end = slot.offset + sizeOf(slot.shape) * (slot.type === "u8" ? 1 : 4);
    const next = slots.all[i + 1]?.offset ?? arena.length;
    const clean = arena.subarray(end, next).every((byte) => byte === GUARD);
    assert.ok(clean, `${name} ${step.name}: wrote behind slot ${i}`);
  }
}

/** Every stored number is the formula's value, rounded: within `tolerance` of it, in units of the output. */
export function checkFormula(step: Step, numbers: Numbers, tolerance: number): void {
  const [height, width, channels] = step.output.shape;
  const formula = formulaOf(step, readerOf(step, numbers));
  const { scale, zeroPoint, type, channels: own } = step.output;
  for (let i = 0; i < height * width * channels; i++) {
    const c = i % channels;
    const x = Math.floor(i / channels) % width;
    const y = Math.floor(i / channels / width);
    const exact = formula(y, x, c);
    const want = type === "f32" ? exact : Math.min(255, Math.max(0, exact / (scale * (own?.[c] ?? 1)) + zeroPoint));
    const error = Math.abs(numbers.output[i] - want) - (type === "u8" ? 0.5 : 0);
    assert.ok(error <= tolerance, `${step.op} [${y}, ${x}, ${c}]: ${numbers.output[i]}, expected ${want}`);
  }
}

function readerOf(step: Step, { inputs }: Numbers): Read {
  const slots = inputsOf(step);
  return (which, y, x, c) => {
    const { shape, type, scale, zeroPoint, channels } = slots[which];
    const number = inputs[which][(y * shape[1] + x) * shape[2] + c];
    return type === "u8" ? scale * (channels?.[c] ?? 1) * (number - zeroPoint) : number;
  };
}

export function inputsOf(step: Step): readonly Slot[] {
  if ("inputs" in step) return step.inputs;
  const inputs = step.op === "finish" ? [step.vectors, step.product] : [step.input];
  return "residual" in step && step.residual ? [...inputs, step.residual] : inputs;
}

export function values(kernels: Kernels, slot: Slot): Uint8Array | Float32Array {
  return slot.type === "u8" ? kernels.u8(slot) : kernels.f32(slot);
}

function fill(kernels: Kernels, slot: Slot, seed: number, code?: number): Uint8Array | Float32Array {
  const length = sizeOf(slot.shape);
  const numbers = slot.type === "u8" ? randomCodes(length, seed) : randomFloats(length, seed);
  if (code !== undefined) numbers.fill(code);
  values(kernels, slot).set(numbers);
  return numbers;
}
