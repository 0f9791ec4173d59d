import { Failure, isFailure } from "../base/failure.ts";
import type { Kernels, LoadKernels } from "../kernels/kernels.ts";
import type { Slot } from "../kernels/step.ts";
import { shapeOf } from "../model/graph.ts";
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
 * One inference at a time; calls wait for each other.
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
   * @param input one sample, in the shape of the model's input (NHWC)
   * @param output where the answer is written; a new array if absent
   * @throws Failure input/shape
   */
  run(
    input: Float32Array,
    output: Float32Array = new Float32Array(this.outputLength),
    tap?: Tap,
  ): Promise<Float32Array> {
    const answer = this.#last.then(() => this.#run(input, output, tap));
    this.#last = answer.catch(() => undefined);
    return answer;
  }

  /** As `run`, digitally and at once. Not while a `run` is under way. */
  runSync(input: Float32Array, output: Float32Array = new Float32Array(this.outputLength)): Float32Array {
    this.#accept(input);
    for (const step of this.#digital) step();
    output.set(this.#output);
    return output;
  }

  async #run(input: Float32Array, output: Float32Array, tap: Tap | undefined): Promise<Float32Array> {
    this.#accept(input);
    for (const step of this.#steps) {
      if (!(step.product && (await this.#multiply(step.product)))) step.digital();
      tap?.(step.operation.value, this.#numbers(outputOf(step.operation)));
    }
    output.set(this.#output);
    return output;
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

  #accept(input: Float32Array): void {
    if (input.length !== this.#input.length) {
      throw new Failure(
        "input/shape",
        `${this.plan.graph.name}: an input of ${input.length} numbers; expected ${this.inputLength}, ` +
          `in the shape [${this.plan.graph.input.shape}]`,
      );
    }
    this.#input.set(input);
  }

  #numbers(slot: Slot): Float32Array {
    if (slot.type === "f32") return this.#kernels.f32(slot).slice();
    return Float32Array.from(this.#kernels.u8(slot), (code) => slot.scale * (code - slot.zeroPoint));
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
