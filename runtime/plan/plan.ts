import type { ConvStep, FinishStep, GatherStep, Slot, Step } from "../kernels/step.ts";
import type { Graph } from "../model/graph.ts";
import type { Lifetime } from "./memory.ts";

/** A model laid out for one process: what to do in which order, and where every value lives. Nothing is left to decide. */
export interface Plan {
  readonly stage: "plan";
  readonly graph: Graph;
  /** f32, in the shape of the graph's input. */
  readonly input: Slot;
  /** f32, in the shape of the graph's output. */
  readonly output: Slot;
  readonly operations: readonly Operation[];
  readonly memory: readonly Placement[];
  /** Activations of one inference. */
  readonly arenaBytes: number;
  /** Codes, scales, biases and surrogates as stored. */
  readonly weightBytes: number;
}

export interface Placement extends Lifetime {
  readonly offset: number;
}

export type Operation = StepOperation | ProductOperation;

/** Done by the kernels. */
export interface StepOperation {
  readonly kind: "step";
  /** The value of the graph that it yields. */
  readonly value: string;
  readonly step: Step;
}

/** A layer whose product is done by a MatmulUnit; `digital` is the same layer for when the unit fails. */
export interface ProductOperation {
  readonly kind: "product";
  readonly value: string;
  /** Absent where the input already is one vector after the other. */
  readonly gather: GatherStep | undefined;
  readonly vectors: Slot;
  readonly product: Slot;
  readonly finish: FinishStep;
  readonly digital: ConvStep;
}

export function outputOf(operation: Operation): Slot {
  return operation.kind === "step" ? operation.step.output : operation.finish.output;
}
