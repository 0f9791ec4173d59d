import type { Clamp } from "../model/graph.ts";
import type { Affine } from "../model/stages.ts";
import type { Slot } from "./step.ts";

/**
 * The last operations of every kernel, so that all implementations store the same bits. All of it is f32: a value
 * already in units of the output (for u8: divided by its scale, zero point added) is clamped, and for u8 rounded to
 * the nearest integer, halves to even. NaN becomes the lower bound.
 */
export interface Target {
  readonly codes: boolean;
  /** What real values are divided by before `zeroPoint` is added: the output's own scale, or 1 and 0 for f32. */
  readonly scale: number;
  readonly zeroPoint: number;
  readonly lowest: number;
  readonly highest: number;
}

/** 1.5 * 2^23: a f32 below 2^22 plus this has the nearest integer, halves to even, in its low bits. */
export const MAGIC = 12582912;

const round = Math.fround;

/** How the numbers in a slot stand for values; f32 numbers stand for themselves. */
export function affineOf({ type, scale, zeroPoint }: Slot): Affine {
  return type === "u8" ? { scale, zeroPoint } : { scale: 1, zeroPoint: 0 };
}

export function targetOf(output: Slot, clamp: Clamp): Target {
  const affine = affineOf(output);
  if (output.type === "f32") return { codes: false, ...affine, lowest: round(clamp.min), highest: round(clamp.max) };
  const code = (value: number): number => nearest(within(value / affine.scale + affine.zeroPoint, 0, 255));
  return { codes: true, ...affine, lowest: code(clamp.min), highest: code(clamp.max) };
}

/** The number to store for a f32 `value` in units of the output. */
export function stored(value: number, target: Target): number {
  const inside = within(value, target.lowest, target.highest);
  return target.codes ? nearest(inside) : inside;
}

function within(value: number, lowest: number, highest: number): number {
  return Math.min(highest, Number.isNaN(value) ? lowest : Math.max(lowest, value));
}

function nearest(value: number): number {
  return round(round(value) + MAGIC) - MAGIC;
}
