import { readFile } from "node:fs/promises";
import { asset } from "../base/assets.ts";
import { Failure } from "../base/failure.ts";
import { bytesOf } from "./arena.ts";
import { checkStep } from "./checks.ts";
import type { Kernels, LoadKernels } from "./kernels.ts";
import { Memory } from "./memory.ts";
import { bindReference, weightOf } from "./reference.ts";
import type { Step } from "./step.ts";
import { packConversion, packElementwise, packLookup, packPool } from "./wasm-elementwise.ts";
import { packConv, packDepthwise } from "./wasm-product.ts";

type Exports = Readonly<Record<string, (descriptor: number) => void>>;

/**
 * Compiles the kernels once; each memory gets an instance of its own.
 * @throws Failure `input/missing` when kernels.wasm was not built, `input/malformed` when it is damaged.
 */
export async function loadWasm(path: URL = asset("runtime/kernels/kernels.wasm")): Promise<LoadKernels> {
  const bytes = await readFile(path).catch((cause: unknown) => {
    throw new Failure("input/missing", `no kernels at ${path.pathname}; run "npm run build:kernels"`, {}, cause);
  });
  const module = await WebAssembly.compile(bytes).catch((cause: unknown) => {
    throw new Failure("input/malformed", `${path.pathname} is damaged; run "npm run build:kernels"`, {}, cause);
  });
  return (arenaBytes) => kernelsIn(module, arenaBytes);
}

function kernelsIn(module: WebAssembly.Module, arenaBytes: number): Kernels {
  const memory = new Memory(arenaBytes);
  const instance = new WebAssembly.Instance(module, { env: { memory: memory.wasm } });
  const kernels = instance.exports as Exports;
  let sharedBytes = 0;
  return {
    name: "wasm",
    get constantBytes() {
      return memory.constantBytes + sharedBytes;
    },
    bind: (step) => {
      checkStep(step, arenaBytes);
      const packed = pack(memory, step);
      if (!packed) {
        sharedBytes += weightOf(step);
        return bindReference(memory, step);
      }
      const kernel = kernels[packed.kernel];
      return () => kernel(packed.descriptor);
    },
    u8: (slot) => new Uint8Array(memory.wasm.buffer, memory.address(slot), bytesOf(slot)),
    f32: (slot) => new Float32Array(memory.wasm.buffer, memory.address(slot), bytesOf(slot) / 4),
  };
}

/** The export for a step, and its descriptor; undefined for steps that the reference does in this memory. */
function pack(memory: Memory, step: Step): { kernel: string; descriptor: number } | undefined {
  switch (step.op) {
    case "conv2d":
      if (step.weights.rows === 0) return undefined;
      return { kernel: "conv2d", descriptor: packConv(memory, step) };
    case "depthwise":
      return { kernel: "depthwise", descriptor: packDepthwise(memory, step) };
    case "quantize":
    case "dequantize":
      return { kernel: step.op, descriptor: packConversion(memory, step) };
    case "lookup":
      return { kernel: "lookup", descriptor: packLookup(memory, step) };
    case "add":
    case "mul":
      if (step.inputs.some(({ type }) => type === "f32")) return undefined;
      return { kernel: step.op, descriptor: packElementwise(memory, step) };
    case "max-pool":
      if (step.input.type === "f32") return undefined;
      return { kernel: "max_pool", descriptor: packPool(memory, step) };
    case "average-pool":
      if (step.input.type === "f32") return undefined;
      return { kernel: "average_pool", descriptor: packPool(memory, step) };
    default:
      return undefined;
  }
}
