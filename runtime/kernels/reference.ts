import { Failure } from "../base/failure.ts";
import { type Arena, bytesOf } from "./arena.ts";
import { checkStep } from "./checks.ts";
import type { LoadKernels } from "./kernels.ts";
import { bindRecurrence } from "./recurrence.ts";
import { bindConvert, bindElementwise, bindLookup, bindSoftmax } from "./reference-elementwise.ts";
import { bindConcat, bindGather, bindPad, bindSlice, bindTranspose, windowsAcross } from "./reference-layout.ts";
import { bindAveragePool, bindMaxPool } from "./reference-pool.ts";
import { bindConv, bindDepthwise, bindFinish } from "./reference-product.ts";
import type { Step } from "./step.ts";

/** What is right: plain loops, exact integer sums, f32 arithmetic in the order that folding.ts and rounding.ts state. */
export const loadReference: LoadKernels = (arenaBytes) => {
  const buffer = bufferOf(arenaBytes + (-arenaBytes & 3));
  const arena: Arena = { bytes: new Uint8Array(buffer), floats: new Float32Array(buffer) };
  let constantBytes = 0;
  return {
    name: "reference",
    get constantBytes() {
      return constantBytes;
    },
    bind: (step) => {
      checkStep(step, arenaBytes);
      constantBytes += weightOf(step);
      return bindReference(arena, step);
    },
    u8: (slot) => new Uint8Array(buffer, slot.offset, bytesOf(slot)),
    f32: (slot) => new Float32Array(buffer, slot.offset, bytesOf(slot) / 4),
  };
};

function bufferOf(bytes: number): ArrayBuffer {
  try {
    return new ArrayBuffer(bytes);
  } catch (cause) {
    throw new Failure("plan/does-not-fit", `no memory for an arena of ${bytes} bytes`, { bytes }, cause);
  }
}

/** For any arena, so that wasm.ts can share the steps whose speed does not matter. The step is already checked. */
export function bindReference(arena: Arena, step: Step): () => void {
  switch (step.op) {
    case "conv2d":
      return bindConv(arena, step);
    case "depthwise":
      return bindDepthwise(arena, step);
    case "quantize":
    case "dequantize":
      return bindConvert(arena, step);
    case "add":
    case "mul":
      return bindElementwise(arena, step);
    case "max-pool":
      return bindMaxPool(arena, step);
    case "average-pool":
      return bindAveragePool(arena, step);
    case "lookup":
      return bindLookup(arena, step);
    case "softmax":
      return bindSoftmax(arena, step);
    case "pad":
      return bindPad(arena, step);
    case "transpose":
      return bindTranspose(arena, step);
    case "slice":
      return bindSlice(arena, step);
    case "recurrence":
      return bindRecurrence(arena, step, bindConv(arena, step.product));
    case "concat":
      return bindConcat(arena, step);
    case "gather":
      return bindGather(arena, step, windowsAcross(step), arena);
    case "finish":
      return bindFinish(arena, step);
  }
}

/** Bytes of all typed arrays in a step. */
export function weightOf(value: unknown): number {
  if (ArrayBuffer.isView(value)) return value.byteLength;
  if (typeof value !== "object" || value === null) return 0;
  return Object.values(value).reduce<number>((sum, part) => sum + weightOf(part), 0);
}
