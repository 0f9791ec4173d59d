import { Failure, isFailure } from "../base/failure.ts";
import type { Kernels, LoadKernels } from "../kernels/kernels.ts";
import type { Slot } from "../kernels/step.ts";
import { shapeOf } from "../model/graph.ts";
import { realOf } from "../model/stages.ts";
import type { Shape } from "../tensor/tensor.ts";
import { type Operation, outputOf, type Plan, type ProductOperation } from "./plan.ts";
import type { MatmulUnit } from "./unit.ts";

/** Called after each operation with the value that it yielded, in real numbers: for comparing layer by layer. */
export type Tap = (value: string, numbers: Float32Array) => void;

export interface RunnerOptions {
  readonly unit?: MatmulUnit | undefined;
  /** Told when a layer had to be computed digitally because the unit failed. */
  readonly onFault?: (layer: string, error: Failure) => void;
}

/**
 * A plan, loaded and ready: every step bound to its memory. Serving allocates nothing but what the caller asks for.
 * One inference at a time; calls wait for each other. Of several samples each is an inference of its own, in the same
 * arena: so their answers are those of single runs, bit for bit, and the memory does not grow with them.
 */
export class Runner {
  readonly plan: Plan;
  readonly #kernels: Kernels;
  readonly #steps: readonly BoundOperation[];
  readonly #digital: readonly (() => void)[];
  readonly #input: Float32Array;
  readonly #output: Float32Array;
  readonly #options: RunnerOptions;
  #last: Promise<unknown> = Promise.resolve();

  constructor(plan: Plan, load: LoadKernels, options: RunnerOptions = {}) {
    this.plan = plan;
    this.#options = options;
    this.#kernels = load(plan.arenaBytes);
    this.#steps = plan.operations.map((operation) => bind(operation, this.#kernels));
    this.#digital = this.#steps.map(({ digital }) => digital);
    // Nothing is bound from here on, so views stay valid.
    this.#input = this.#kernels.f32(plan.input);
    this.#output = this.#kernels.f32(plan.output);
  }

  /** Its name in the model file and its shape, NHWC with a batch of 1. */
  get input(): { readonly name: string; readonly shape: Shape } {
    return this.plan.graph.input;
  }

  get output(): { readonly name: string; readonly shape: Shape } {
    const { graph } = this.plan;
    return { name: graph.output, shape: shapeOf(graph, graph.output) };
  }

  get inputLength(): number {
    return lengthOf(this.plan.input);
  }

  get outputLength(): number {
    return lengthOf(this.plan.output);
  }

  /** Bytes of the arena, packed weights and scratch together. */
  get memoryBytes(): number {
    return this.plan.arenaBytes + this.#kernels.constantBytes;
  }

  /**
   * @param input one sample in the shape of the model's input (NHWC), or several, one after the other
   * @param output where the answers are written, one after the other; a new array if absent
   * @param tap told of the values of one sample after the other
   * @throws Failure input/shape
   */
  run(input: Float32Array, output?: Float32Array, tap?: Tap): Promise<Float32Array> {
    const answer = this.#last.then(() => this.#run(input, output, tap));
    this.#last = answer.catch(() => undefined);
    return answer;
  }

  /** As `run`, digitally and at once. Not while a `run` is under way. */
  runSync(input: Float32Array, output?: Float32Array): Float32Array {
    const count = this.#countOf(input, output);
    const answers = output ?? new Float32Array(count * this.#output.length);
    for (let sample = 0; sample < count; sample++) {
      this.#load(input, sample);
      for (const step of this.#digital) step();
      answers.set(this.#output, sample * this.#output.length);
    }
    return answers;
  }

  async #run(input: Float32Array, output: Float32Array | undefined, tap: Tap | undefined): Promise<Float32Array> {
    const count = this.#countOf(input, output);
    const answers = output ?? new Float32Array(count * this.#output.length);
    for (let sample = 0; sample < count; sample++) {
      this.#load(input, sample);
      for (const step of this.#steps) {
        if (!(step.product && (await this.#multiply(step.product)))) step.digital();
        tap?.(step.operation.value, this.#numbers(outputOf(step.operation)));
      }
      answers.set(this.#output, sample * this.#output.length);
    }
    return answers;
  }

  /** Whether the unit did it. */
  async #multiply({ operation, gather, finish }: BoundProduct): Promise<boolean> {
    const { unit, onFault } = this.#options;
    const layer = operation.value;
    if (!unit?.layers.has(layer)) return false;
    gather?.();
    try {
      const vectors = this.#kernels.u8(operation.vectors);
      this.#kernels.f32(operation.product).set(await unit.multiply(layer, vectors, operation.vectors.shape[0]));
    } catch (error) {
      if (!isFailure(error)) throw error;
      onFault?.(layer, error);
      return false;
    }
    finish();
    return true;
  }

  /** Samples in the input. */
  #countOf(input: Float32Array, output: Float32Array | undefined): number {
    const count = input.length / this.#input.length;
    const { name, input: expected } = this.plan.graph;
    if (!Number.isInteger(count) || count === 0) {
      throw new Failure(
        "input/shape",
        `${name}: an input of ${input.length} numbers; expected ${this.inputLength}, in the shape [${expected.shape}], ` +
          "for each sample",
      );
    }
    if (output && output.length < count * this.#output.length) {
      throw new Failure(
        "input/shape",
        `${name}: room for ${output.length} numbers of output; expected ${this.outputLength} for each of ${count} samples`,
      );
    }
    return count;
  }

  /** Copies a sample in. A single one costs no view of it. */
  #load(input: Float32Array, sample: number): void {
    const { length } = this.#input;
    this.#input.set(input.length === length ? input : input.subarray(sample * length, (sample + 1) * length));
  }

  #numbers(slot: Slot): Float32Array {
    if (slot.type === "f32") return this.#kernels.f32(slot).slice();
    return realOf(this.#kernels.u8(slot), slot);
  }
}

interface BoundOperation {
  readonly operation: Operation;
  readonly digital: () => void;
  readonly product: BoundProduct | undefined;
}

interface BoundProduct {
  readonly operation: ProductOperation;
  readonly gather: (() => void) | undefined;
  readonly finish: () => void;
}

function bind(operation: Operation, kernels: Kernels): BoundOperation {
  if (operation.kind === "step") return { operation, digital: kernels.bind(operation.step), product: undefined };
  const gather = operation.gather && kernels.bind(operation.gather);
  const product = { operation, gather, finish: kernels.bind(operation.finish) };
  return { operation, digital: kernels.bind(operation.digital), product };
}

function lengthOf({ shape }: Slot): number {
  return shape[0] * shape[1] * shape[2];
}
