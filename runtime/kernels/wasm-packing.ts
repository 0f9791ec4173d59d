/**
 * Weights in the order that the kernels multiply them. A row of weights meets the code at `offsets[row]` of the window.
 * A step is up to four neighbouring codes of one block (missing ones have weights of 0); a run is pairs of steps whose
 * codes follow each other; a panel is eight columns. The weights of a step and a panel: pairs of rows (0, 1) for the eight
 * columns, then pairs (2, 3); or, if they are narrow, the four rows of each column.
 */
export interface PackedSteps {
  /** For each block how many runs, then for each run the offset of its first code and how many codes its steps take. */
  readonly runs: Int32Array;
  readonly blocks: readonly (readonly RowGroup[])[];
  readonly steps: readonly RowGroup[];
}

interface RowGroup {
  readonly row: number;
  readonly count: number;
}

export const PANEL = 8;
const STEP = 4;
/** Of a step's weights for a panel. */
export const STEP_BYTES: number = STEP * PANEL;

export function panelsOf(columns: number): number {
  return Math.ceil(columns / PANEL);
}

export function packSteps(offsets: Int32Array, blockLength: number): PackedSteps {
  const count = Math.ceil(offsets.length / blockLength);
  const blocks = Array.from({ length: count }, (_, block) => {
    const rows = groupRows(offsets, block * blockLength, Math.min(offsets.length, (block + 1) * blockLength));
    return pairSteps(rows, offsets);
  });
  const runs = Int32Array.from(blocks.flatMap((steps) => runsOf(steps, offsets)));
  return { runs, blocks, steps: blocks.flat() };
}

/** The part of the table for one block. */
function runsOf(steps: readonly RowGroup[], offsets: Int32Array): number[] {
  const runs: { at: number; codes: number }[] = [];
  for (let i = 0; i < steps.length; i += 2) {
    const at = offsets[steps[i].row];
    const last = runs[runs.length - 1];
    if (last && at === last.at + last.codes) last.codes += 2 * STEP;
    else runs.push({ at, codes: 2 * STEP });
  }
  return [runs.length, ...runs.flatMap(({ at, codes }) => [at, codes])];
}

/** Pairs, the second's codes next to the first one's: a step of no rows where there is no such. */
function pairSteps(steps: readonly RowGroup[], offsets: Int32Array): RowGroup[] {
  const pairs: RowGroup[] = [];
  for (const step of steps) {
    const first = pairs.length % 2 === 1 ? pairs[pairs.length - 1] : undefined;
    if (first && offsets[step.row] !== offsets[first.row] + STEP) pairs.push({ ...first, count: 0 });
    pairs.push(step);
  }
  return pairs.length % 2 === 1 ? [...pairs, { row: pairs[pairs.length - 1].row, count: 0 }] : pairs;
}

function groupRows(offsets: Int32Array, from: number, to: number): RowGroup[] {
  const groups: RowGroup[] = [];
  for (let row = from; row < to; row += groups[groups.length - 1].count) {
    let count = 1;
    while (count < STEP && row + count < to && offsets[row + count] === offsets[row] + count) count++;
    groups.push({ row, count });
  }
  return groups;
}

/** The greatest sum of two weights whose products with 255 still have a sum of 16 bits. */
const MOST = 128;

/** Whether no pair of neighbouring rows of a step can exceed 16 bits, so that instructions which saturate are exact. */
export function isNarrow(codes: Int8Array, columns: number, steps: readonly RowGroup[]): boolean {
  return steps.every(({ row, count }) => {
    for (let k = 1; k < count; k += 2) {
      const second = (row + k) * columns;
      for (let j = 0; j < columns; j++) {
        // Of opposite signs, the larger one alone is below.
        const sum = codes[second - columns + j] + codes[second + j];
        if (sum > MOST || sum < -MOST) return false;
      }
    }
    return true;
  });
}

/**
 * Where the weights of a pair of steps and a panel of so many columns are kept: where the rows of the first one begin,
 * how far behind those of the second one are, and from column to column.
 */
interface Order {
  readonly width: number;
  readonly rows: readonly number[];
  readonly second: number;
  readonly column: number;
}
export const IN_PAIRS: Order = { width: 8, rows: [0, 1, 16, 17], second: 32, column: 2 };
export const IN_FOURS: Order = { width: 8, rows: [0, 1, 2, 3], second: 32, column: 4 };
/** Of a projection (assembly/projection.ts). */
export const IN_PAIRS_BY_FOUR: Order = { width: 4, rows: [0, 1, 8, 9], second: 16, column: 2 };
export const IN_EIGHTS: Order = { width: 4, rows: [0, 1, 2, 3], second: 4, column: 8 };

/** `codes` is rows x columns; the result is panels x steps x 4 rows x the panel's columns. */
export function packWeights(codes: Int8Array, columns: number, steps: readonly RowGroup[], order: Order): Int8Array {
  const stepBytes = STEP * order.width;
  const panelBytes = steps.length * stepBytes;
  const packed = new Int8Array(Math.ceil(columns / order.width) * panelBytes);
  for (const [step, { row, count }] of steps.entries()) {
    for (let k = 0; k < count; k++) {
      const from = (row + k) * columns;
      const to = (step >> 1) * 2 * stepBytes + (step & 1) * order.second + order.rows[k];
      packRow(codes.subarray(from, from + columns), packed, to, panelBytes, order);
    }
  }
  return packed;
}

/** Of its own: what is called often is compiled sooner than a long loop. */
function packRow(row: Int8Array, packed: Int8Array, at: number, panelBytes: number, { width, column }: Order): void {
  for (let panel = 0, to = at; panel < row.length; panel += width, to += panelBytes) {
    const end = Math.min(width, row.length - panel);
    for (let j = 0; j < end; j++) packed[to + j * column] = row[panel + j];
  }
}

/** What sums of signed codes lack: 128 times the sum of each block's weights, panels x blocks x 8. */
export function packStarts(codes: Int8Array, columns: number, { blocks }: PackedSteps): Int32Array {
  const starts = new Int32Array(panelsOf(columns) * blocks.length * PANEL);
  for (const [block, steps] of blocks.entries()) {
    for (const { row, count } of steps) {
      for (let i = row * columns; i < (row + count) * columns; i++) {
        const j = i % columns;
        starts[(Math.floor(j / PANEL) * blocks.length + block) * PANEL + (j % PANEL)] += 128 * codes[i];
      }
    }
  }
  return starts;
}

/** `values` is rows x columns; the result is panels x rows x 8, missing columns 0. */
export function packPanels(values: Float32Array, columns: number): Float32Array {
  const rows = columns === 0 ? 0 : values.length / columns;
  const packed = new Float32Array(panelsOf(columns) * rows * PANEL);
  for (let row = 0; row < rows; row++) {
    for (let j = 0; j < columns; j++) {
      packed[(Math.floor(j / PANEL) * rows + row) * PANEL + (j % PANEL)] = values[row * columns + j];
    }
  }
  return packed;
}

/** Depthwise: pairs of kernel elements (the last one alone with a weight of 0); groups x pairs x 8 channels x 2. */
export function packPairs(codes: Int8Array, taps: number, channels: number): Int16Array {
  const pairs = Math.ceil(taps / 2);
  const packed = new Int16Array(panelsOf(channels) * pairs * 2 * PANEL);
  for (let tap = 0; tap < taps; tap++) {
    for (let c = 0; c < channels; c++) {
      const group = Math.floor(c / PANEL) * pairs + (tap >> 1);
      packed[(group * PANEL + (c % PANEL)) * 2 + (tap & 1)] = codes[tap * channels + c];
    }
  }
  return packed;
}
