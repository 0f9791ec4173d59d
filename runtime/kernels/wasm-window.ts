import type { Window } from "../model/graph.ts";
import type { Memory } from "./memory.ts";
import type { Slot } from "./step.ts";
import { describe } from "./wasm-descriptors.ts";
import { windowsOf } from "./windows.ts";

/**
 * `border`: the code around the image, of which scratch gets a copy then. Positions without gaps between them count as
 * one row.
 */
export function describeWindow(
  memory: Memory,
  step: Window & { readonly input: Slot; readonly output: Slot },
  border: number,
): number {
  const windows = windowsOf(step);
  const [height, width, channels] = step.input.shape;
  const { positions, pitch, stepX, stepY, inset } = windows;
  const imageBytes = windows.bordered ? windows.height * pitch : 0;
  memory.scratch(imageBytes);
  return describe(memory, "Window", {
    input: memory.address(step.input),
    bordered: Number(windows.bordered),
    border,
    inputRows: height,
    rowBytes: width * channels,
    pitch,
    inset,
    imageBytes,
    positions,
    width: windows.width * stepX === stepY ? Math.max(1, positions) : windows.width,
    stepX,
    stepY,
  });
}

/** `count` windows of `bytes` codes, one after the other in scratch. */
export function describeGathered(memory: Memory, count: number, bytes: number): number {
  return describe(memory, "Window", {
    input: 0,
    bordered: 0,
    border: 0,
    inputRows: 0,
    rowBytes: 0,
    pitch: 0,
    inset: 0,
    imageBytes: 0,
    positions: count,
    width: count,
    stepX: bytes,
    stepY: 0,
  });
}
