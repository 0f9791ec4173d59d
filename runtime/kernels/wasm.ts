import { readFileSync } from "node:fs";
import { asset } from "../base/assets.ts";
import { Failure } from "../base/failure.ts";
import { bytesOf } from "./arena.ts";
import { checkStep } from "./checks.ts";
import { compileKernels } from "./compilation.ts";
import { candidates, type Family, isExact } from "./family.ts";
import type { Kernels, LoadKernels } from "./kernels.ts";
import { Memory } from "./memory.ts";
import { bindRecurrence } from "./recurrence.ts";
import { bindReference, weightOf } from "./reference.ts";
import type { Step } from "./step.ts";
import { packDepthwise } from "./wasm-depthwise.ts";
import { packConversion, packElementwise, packLookup, packPool } from "./wasm-elementwise.ts";
import { type Packed, packConv } from "./wasm-product.ts";

type Exports = Readonly<Record<string, (descriptor: number) => void>>;

let best: Promise<LoadKernels> | undefined;

/**
 * The fastest kernels that are exact on this machine, compiled once per thread; each memory gets an instance of its own.
 * @throws Failure `input/missing` when the kernels were not built, `input/malformed` when they are damaged.
 */
export function loadWasm(): Promise<LoadKernels> {
  best ??= loadBest();
  return best;
}

async function loadBest(): Promise<LoadKernels> {
  for (const family of candidates) {
    const load = await loadFamily(family);
    if (load && (family === "plain" || isExact(load))) return load;
  }
  return loadPlain();
}

/** Undefined where this engine has no relaxed SIMD. */
export async function loadFamily(family: Family): Promise<LoadKernels | undefined> {
  if (family === "plain") return loadPlain();
  const plain = await compilePlain();
  const narrow = await compileKernels(readKernels(family)).catch(() => undefined);
  return narrow && ((arenaBytes) => kernelsIn([plain, narrow], family, arenaBytes));
}

/** The build that runs everywhere. */
export async function loadPlain(path?: URL): Promise<LoadKernels> {
  const plain = await compilePlain(path);
  return (arenaBytes) => kernelsIn([plain], "plain", arenaBytes);
}

async function compilePlain(path: URL = fileOf("plain")): Promise<WebAssembly.Module> {
  return WebAssembly.compile(readKernels("plain", path)).catch((cause: unknown) => {
    throw new Failure("input/malformed", `${path.pathname} is damaged; run "npm run build:kernels"`, {}, cause);
  });
}

function fileOf(family: Family): URL {
  return asset(`runtime/kernels/${family}.wasm`);
}

/** At once: every start waits for it, and loading node:fs/promises takes longer. */
function readKernels(family: Family, path: URL = fileOf(family)): Uint8Array {
  try {
    return readFileSync(path);
  } catch (cause) {
    throw new Failure("input/missing", `no kernels at ${path.pathname}; run "npm run build:kernels"`, {}, cause);
  }
}

/** Of kernels that two modules have, the later one's are used. */
function kernelsIn(modules: readonly WebAssembly.Module[], family: Family, arenaBytes: number): Kernels {
  const memory = new Memory(arenaBytes);
  const imports = { env: { memory: memory.wasm } };
  const instances = modules.map((module) => new WebAssembly.Instance(module, imports).exports);
  const kernels: Exports = Object.assign({}, ...instances);
  let sharedBytes = 0;
  const bind = (step: Step): (() => void) => {
    checkStep(step, arenaBytes);
    if (step.op === "recurrence") return bindRecurrence(memory, step, bind(step.product));
    const packed = pack(memory, step, family);
    if (!packed) {
      sharedBytes += weightOf(step);
      return bindReference(memory, step);
    }
    const kernel = kernels[packed.kernel];
    return () => kernel(packed.descriptor);
  };
  return {
    name: `wasm ${family}`,
    get constantBytes() {
      return memory.constantBytes + sharedBytes;
    },
    bind,
    u8: (slot) => new Uint8Array(memory.wasm.buffer, memory.address(slot), bytesOf(slot)),
    f32: (slot) => new Float32Array(memory.wasm.buffer, memory.address(slot), bytesOf(slot) / 4),
  };
}

/** The export for a step, and its descriptor; undefined for steps that the reference does in this memory. */
function pack(memory: Memory, step: Step, family: Family): Packed | undefined {
  switch (step.op) {
    case "conv2d":
      if (step.weights.rows === 0) return undefined;
      return packConv(memory, step, family);
    case "depthwise":
      return packDepthwise(memory, step, family);
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
