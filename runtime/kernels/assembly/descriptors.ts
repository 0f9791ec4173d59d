// What a kernel is told, as structs in memory. wasm-descriptors.ts has the same fields in the same order (a test
// compares them). Addresses are absolute unless they say otherwise; lengths and steps are in bytes where named so.

/** Where the windows of a convolution or a pool stand on an image, and how the image gets its border. */
@unmanaged
export class Window {
  input: usize;
  /** 0: windows stand on the input as it is; 1: on a copy with a border, in scratch. */
  bordered: u32;
  border: u32;
  inputRows: i32;
  rowBytes: usize;
  pitch: usize;
  inset: usize;
  imageBytes: usize;
  /** Output positions: all of them, and those of one row. */
  positions: i32;
  width: i32;
  stepX: usize;
  stepY: usize;
}

@unmanaged
export class Target {
  output: usize;
  /** Values per position. */
  columns: i32;
  /** 1: u8 codes, 0: f32. */
  codes: u32;
  /** 1: codes, and a value is stored as it comes out, because what saturates it is as good as the bounds. */
  saturates: u32;
  lowest: f32;
  highest: f32;
}

/** One product of windows with packed weights: y = bias + sum over blocks of scale * (exact sum of codes) + ... */
@unmanaged
export class Product {
  target: Target;
  /** For each block: how many runs, then for each run where its codes are, relative to the window, and its steps. */
  runs: usize;
  blocks: usize;
  /** Panels of eight columns: per step 8 x 4 weights (see wasm-packing.ts). */
  panels: usize;
  weights: usize;
  panelBytes: usize;
  /** Panel by panel: blocks x 8 (what sums begin with, i32; and scales), and 8. */
  starts: usize;
  scales: usize;
  bias: usize;
  /** ... + z b, where z is what the projection found for the window and b is rank x 8, panel by panel ... */
  rank: usize;
  b: usize;
  z: usize;
  /** ... + the codes of a residual in the output's shape (0: none), times a scale. */
  residual: usize;
  residualScale: f32;
}

/** The surrogate's first factor: z = bias + scale * (exact sum of codes), in panels of four columns; none without one. */
@unmanaged
export class Projection {
  /** As a product's, one block. */
  runs: usize;
  panels: usize;
  weights: usize;
  starts: usize;
  scales: usize;
  bias: usize;
  /** Of some windows: rank by rank, Z_PITCH apart. */
  z: usize;
}

@unmanaged
export class Convolution {
  window: Window;
  /** Where the rows of a window are, relative to it, if it is multiplied in a copy of its own (0: it is not). */
  rows: usize;
  rowCount: usize;
  rowBytes: usize;
  /** The copies of some windows as an image. */
  gathered: Window;
  main: Product;
  projection: Projection;
}

@unmanaged
export class Depthwise {
  window: Window;
  target: Target;
  /** Pairs of kernel elements, each two offsets relative to the window. */
  pairs: usize;
  pairCount: i32;
  /** Eight channels after eight channels: per pair 8 x 2 weights of 16 bits. */
  weights: usize;
  scales: usize;
  bias: usize;
}

/** A depthwise kernel of 3 x 3 with narrow weights: rows, and the codes left and right of them, in bytes. */
@unmanaged
export class Depthwise3 {
  target: Target;
  input: usize;
  inputRows: i32;
  rowBytes: usize;
  border: u32;
  /** Rows of border above the first one. */
  above: i32;
  left: usize;
  right: usize;
  /** Of the output. */
  rows: i32;
  width: i32;
  stepX: usize;
  /** In rows. */
  stepY: i32;
  /** Eight channels after eight: per column of the kernel 8 x 4, the last of the four 0; a fourth column of zeros. */
  weights: usize;
  starts: usize;
  scales: usize;
  bias: usize;
}

@unmanaged
export class Pool {
  window: Window;
  target: Target;
  offsets: usize;
  count: i32;
  /** Average only: one per position; what a window of zero points sums to; the output's zero point. */
  multipliers: usize;
  zeroSum: i32;
  zero: f32;
}

@unmanaged
export class Elementwise {
  target: Target;
  a: usize;
  b: usize;
  rows: i32;
  aScale: f32;
  bScale: f32;
  aZero: f32;
  bZero: f32;
  bias: f32;
}

@unmanaged
export class Conversion {
  input: usize;
  output: usize;
  length: usize;
  scale: f32;
  zero: f32;
  /** The greatest code: 255, from memory for the reason that memory.ts gives. */
  highest: f32;
  table: usize;
}
