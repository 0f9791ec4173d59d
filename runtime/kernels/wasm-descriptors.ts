import type { Memory } from "./memory.ts";
import type { Target } from "./rounding.ts";
import type { Slot } from "./step.ts";

/** The structs that the kernels read; what the fields mean is said in assembly/descriptors.ts. All take four bytes. */
export const descriptors = {
  Window: {
    input: "usize",
    bordered: "u32",
    border: "u32",
    inputRows: "i32",
    rowBytes: "usize",
    pitch: "usize",
    inset: "usize",
    imageBytes: "usize",
    positions: "i32",
    width: "i32",
    stepX: "usize",
    stepY: "usize",
  },
  Target: { output: "usize", columns: "i32", codes: "u32", saturates: "u32", lowest: "f32", highest: "f32" },
  Product: {
    target: "Target",
    runs: "usize",
    blocks: "usize",
    panels: "usize",
    weights: "usize",
    panelBytes: "usize",
    starts: "usize",
    scales: "usize",
    bias: "usize",
    rank: "usize",
    b: "usize",
    z: "usize",
    residual: "usize",
    residualScale: "f32",
  },
  Projection: {
    runs: "usize",
    panels: "usize",
    weights: "usize",
    starts: "usize",
    scales: "usize",
    bias: "usize",
    z: "usize",
  },
  Convolution: {
    window: "Window",
    rows: "usize",
    rowCount: "usize",
    rowBytes: "usize",
    gathered: "Window",
    main: "Product",
    projection: "Projection",
  },
  Depthwise: {
    window: "Window",
    target: "Target",
    pairs: "usize",
    pairCount: "i32",
    weights: "usize",
    scales: "usize",
    bias: "usize",
  },
  Depthwise3: {
    target: "Target",
    input: "usize",
    inputRows: "i32",
    rowBytes: "usize",
    border: "u32",
    above: "i32",
    left: "usize",
    right: "usize",
    rows: "i32",
    width: "i32",
    stepX: "usize",
    stepY: "i32",
    weights: "usize",
    starts: "usize",
    scales: "usize",
    bias: "usize",
  },
  Pool: {
    window: "Window",
    target: "Target",
    offsets: "usize",
    count: "i32",
    multipliers: "usize",
    zeroSum: "i32",
    zero: "f32",
  },
  Elementwise: {
    target: "Target",
    a: "usize",
    b: "usize",
    rows: "i32",
    aScale: "f32",
    bScale: "f32",
    aZero: "f32",
    bZero: "f32",
    bias: "f32",
  },
  Conversion: {
    input: "usize",
    output: "usize",
    length: "usize",
    scale: "f32",
    zero: "f32",
    highest: "f32",
    table: "usize",
  },
} as const;

type Descriptors = typeof descriptors;

/** Writes a struct among the constants and returns its address. */
export function describe<K extends keyof Descriptors>(
  memory: Memory,
  kind: K,
  values: Readonly<Record<keyof Descriptors[K], number>>,
): number {
  const fields = Object.entries<string>(descriptors[kind]);
  const view = new DataView(new ArrayBuffer(4 * fields.length));
  for (const [i, [field, type]] of fields.entries()) {
    const value = values[field as keyof Descriptors[K]];
    if (type === "f32") view.setFloat32(4 * i, value, true);
    else view.setInt32(4 * i, value, true);
  }
  return memory.keep(view);
}

/** `saturates`: codes need no bounds (folding.ts). */
export function describeTarget(memory: Memory, slot: Slot, target: Target, saturates = false): number {
  const { codes, lowest, highest } = target;
  return describe(memory, "Target", {
    output: memory.address(slot),
    columns: slot.shape[2],
    codes: Number(codes),
    saturates: Number(saturates),
    lowest,
    highest,
  });
}
