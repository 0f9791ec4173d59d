import { entry } from "../base/entry.ts";
import type { Kernels, LoadKernels } from "../kernels/kernels.ts";
import type { Slot, Step } from "../kernels/step.ts";
import type { Conv2d, Dense, Graph, Node } from "../model/graph.ts";
import type { Affine, Correction, PolarizedLayer } from "../model/stages.ts";
import { sizeOf } from "../tensor/tensor.ts";
import { codeSlot, isolated, MiniMemory } from "./isolated.ts";

/**
 * Runs a quantized model node by node over all calibration samples, with the kernels that will serve it, so that each
 * layer is corrected for the inputs that it will really get. Holds the codes of the values that are still needed.
 */
export class Replay {
  readonly samples: number;
  readonly #graph: Graph;
  readonly #ranges: ReadonlyMap<string, Affine>;
  readonly #load: LoadKernels;
  readonly #codes = new Map<string, Uint8Array>();

  /** @param inputs `samples` inputs of the model, one after the other, real numbers */
  constructor(
    model: { readonly graph: Graph; readonly ranges: ReadonlyMap<string, Affine> },
    load: LoadKernels,
    inputs: Float32Array,
    samples: number,
  ) {
    this.samples = samples;
    this.#graph = model.graph;
    this.#ranges = model.ranges;
    this.#load = load;
    this.#codes.set(model.graph.input.name, codesOf(inputs, this.range(model.graph.input.name)));
  }

  /** What the model has computed for a value so far, all samples one after the other. */
  codes(value: string): Uint8Array {
    return entry(this.#codes, value);
  }

  range(value: string): Affine {
    return entry(this.#ranges, value);
  }

  /** Computes a node's value from those before it; a layer needs its corrected weights. */
  advance(node: Node, layer?: PolarizedLayer): void {
    const { step, inputs, output, memory } = isolated(node, layer, this.#graph, this.#ranges);
    const values = node.inputs.map((value) => this.codes(value));
    if (step === undefined) this.#codes.set(node.name, values[0]);
    else this.#run(memory, step, node, inputs, values, output);
  }

  /** As `advance` for a layer whose products, for all samples, were computed elsewhere from `vectors`. */
  advanceWith(node: Conv2d | Dense, correction: Correction, vectors: Uint8Array, products: Float32Array): void {
    const memory = new MiniMemory();
    const positions = sizeOf(node.shape) / node.columns;
    const input = memory.place({ ...this.#slot(node.inputs[0]), shape: [positions, 1, node.rows] });
    const product = memory.place({
      offset: 0,
      shape: [positions, 1, node.columns],
      type: "f32",
      scale: 1,
      zeroPoint: 0,
    });
    const output = memory.place(this.#slot(node.name));
    const { name, clamp } = node;
    const shape = output.shape;
    const added = node.inputs.slice(1);
    const residuals = added.map((value) => memory.place({ ...this.#slot(value), shape }));
    const [residual] = residuals;
    const step: Step = { ...correction, op: "finish", name, vectors: input, product, output, residual, clamp };
    const values = [vectors, products, ...added.map((value) => this.codes(value))];
    this.#run(memory, step, node, [input, product, ...residuals], values, output);
  }

  #run(
    memory: MiniMemory,
    step: Step,
    node: Node,
    inputs: readonly Slot[],
    values: readonly (Uint8Array | Float32Array)[],
    output: Slot,
  ): void {
    const kernels = this.#load(memory.bytes);
    const run = kernels.bind(step);
    const size = sizeOf(node.shape);
    const codes = new Uint8Array(size * this.samples);
    for (let sample = 0; sample < this.samples; sample++) {
      for (const [i, slot] of inputs.entries()) put(kernels, slot, values[i], sample);
      run();
      codes.set(kernels.u8(output), sample * size);
    }
    this.#codes.set(node.name, codes);
    this.#forget(node);
  }

  /** Frees the codes that no later node reads. */
  #forget(done: Node): void {
    const later = this.#graph.nodes.slice(this.#graph.nodes.indexOf(done) + 1).flatMap(({ inputs }) => inputs);
    for (const value of this.#codes.keys()) {
      if (value !== done.name && !later.includes(value)) this.#codes.delete(value);
    }
  }

  #slot(value: string): Slot {
    return codeSlot(value, this.#graph, this.#ranges);
  }
}

function put(kernels: Kernels, slot: Slot, values: Uint8Array | Float32Array, sample: number): void {
  const size = sizeOf(slot.shape);
  const part = values.subarray(sample * size, (sample + 1) * size);
  if (slot.type === "f32") kernels.f32(slot).set(part);
  else kernels.u8(slot).set(part);
}

export function codesOf(values: Float32Array, { scale, zeroPoint }: Affine): Uint8Array {
  return Uint8Array.from(values, (value) => Math.max(0, Math.min(255, Math.round(value / scale) + zeroPoint)));
}
