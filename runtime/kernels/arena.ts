import { sizeOf } from "../tensor/tensor.ts";
import type { Slot } from "./step.ts";

/**
 * The arena as the kernels in TypeScript see it; slot offsets count from its start. Take the arrays anew in each run:
 * a memory that grows replaces them.
 */
export interface Arena {
  readonly bytes: Uint8Array;
  readonly floats: Float32Array;
}

/** The array a slot lives in. */
export function arrayOf(arena: Arena, slot: Slot): Uint8Array | Float32Array {
  return slot.type === "u8" ? arena.bytes : arena.floats;
}

/** Index of the slot's first number in that array. */
export function startOf(slot: Slot): number {
  return slot.type === "u8" ? slot.offset : slot.offset / 4;
}

export function bytesOf(slot: Slot): number {
  return sizeOf(slot.shape) * (slot.type === "u8" ? 1 : 4);
}
