import type { Family } from "./family.ts";
import type { Slot, Step } from "./step.ts";

/**
 * The arithmetic that a plan runs on, bound to one memory. Two implementations under one contract suite:
 * reference.ts says what is right, wasm.ts is fast.
 */
export interface Kernels {
  readonly name: "reference" | `wasm ${Family}`;
  /** Bytes that the constants (packed weights, tables, descriptors) and scratch of the bound steps take. */
  readonly constantBytes: number;
  /** Does all packing and checking now; the returned function does the step and allocates nothing. */
  bind(step: Step): () => void;
  /** Views of a slot's values. They stay valid until the next `bind`. */
  u8(slot: Slot): Uint8Array;
  f32(slot: Slot): Float32Array;
}

/** `arenaBytes`: how much room the plan's slots need. */
export type LoadKernels = (arenaBytes: number) => Kernels;
