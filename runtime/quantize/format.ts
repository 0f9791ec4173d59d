import type { FormatName, QuantizedMatrix } from "../model/stages.ts";
import { nearestByHalves } from "./formats/code-book.ts";
import { type Grouped, LEVELS } from "./grouped.ts";
import { prunedColumns } from "./pruning.ts";

/**
 * The largest code of a format: 255 * (64 + 64) fits 16 bits, so that the fast kernels, whose instructions saturate
 * there, are exact, and the same on every machine (kernels/wasm-packing.ts).
 */
export const NARROW = 64;

/** A weight format: which values a code can have, and how a block of floats becomes codes and one scale. */
export interface QuantFormat {
  readonly name: FormatName;
  /** Of one stored code, without its share of the scale. */
  readonly bits: number;
  /** Of one stored scale. */
  readonly scaleBits: 8 | 16 | 20 | 32;
  /** Of what is stored once per column beside the scales; none if absent. */
  readonly columnBits?: 32;
  /** Whether weights along the input axis are scaled in blocks; otherwise one scale serves a whole column. */
  readonly blocked: boolean;
  /**
   * The values of all codes, ascending, in -NARROW .. NARROW. A stored code is an index into this table, which has at
   * most 2 ** bits rows; or, of grouped formats, into the levels of its group.
   */
  readonly codeBook: Int8Array;
  /** The value of the code nearest to `x`, which is a weight divided by its scale. */
  nearest(x: number): number;
  /** Of formats whose codes depend on the group. */
  readonly grouped?: Grouped;
}

/** Fractions of a block's largest weight that are tried as the largest code's weight; the least square error wins. */
const CLIPPING: readonly number[] = Array.from({ length: 16 }, (_, i) => 1 - i / 40);
/** With few levels the best ones clip far more: the four of N(0, 1) end at 1.5 sigma (Max 1960, table I). */
const COARSE_CLIPPING: readonly number[] = Array.from({ length: 34 }, (_, i) => 1 - i / 40);
const COARSE_BITS = 3;

/**
 * Quantizes a rows x columns matrix (row-major), in blocks of `blockLength` rows if the format has blocks.
 * Rounding is to the nearest code.
 */
export function quantizeMatrix(
  format: QuantFormat,
  weights: Float32Array,
  columns: number,
  blockLength: number,
): QuantizedMatrix {
  const matrix = emptyMatrix(format, weights, columns, blockLength);
  for (let i = 0; i < weights.length; i++) matrix.codes[i] = codeOf(format, matrix, i, weights[i]);
  return matrix;
}

/** Scales searched for the least squared error of each block, and no codes yet. */
export function emptyMatrix(
  format: QuantFormat,
  weights: Float32Array,
  columns: number,
  blockLength: number,
): QuantizedMatrix {
  const rows = weights.length / columns;
  const block = format.blocked ? Math.min(blockLength, rows) : rows;
  const codes = new Int8Array(weights.length);
  if (format.grouped) {
    return { rows, columns, codes, blockLength: block, ...format.grouped.groups(weights, columns, block) };
  }
  const scales = new Float32Array(Math.ceil(rows / block) * columns);
  const search = searchOf(format);
  for (let i = 0; i < scales.length; i++) {
    const from = Math.floor(i / columns) * block;
    const first = from * columns + (i % columns);
    const strip = new Float64Array(Math.min(rows, from + block) - from);
    for (let k = 0; k < strip.length; k++) strip[k] = weights[first + k * columns];
    scales[i] = bestScale(format, search, strip);
  }
  return { rows, columns, codes, scales, blockLength: block };
}

/** The code nearest to `weight` at position `i` (row-major) of a matrix. */
export function codeOf(format: QuantFormat, matrix: QuantizedMatrix, i: number, weight: number): number {
  const scale = scaleAt(matrix, i);
  const { grouped } = format;
  if (!grouped) return format.nearest(scale === 0 ? 0 : weight / scale);
  return grouped.code(levelOf(grouped, matrix, i, weight), scale);
}

/** Beside the code nearest to `weight` the one on its other side; the nearest itself at an end of the code book. */
export function neighbourOf(format: QuantFormat, matrix: QuantizedMatrix, i: number, weight: number): number {
  const scale = scaleAt(matrix, i);
  const nearest = codeOf(format, matrix, i, weight);
  const side = scale === 0 ? 0 : Math.sign(weight / scale - nearest);
  const { grouped, codeBook } = format;
  if (!grouped) return codeBook[codeBook.indexOf(nearest) + side] ?? nearest;
  return grouped.code(withinGroup(matrix, i, levelOf(grouped, matrix, i, weight) + side), scale);
}

function levelOf({ codesPerStep }: Grouped, matrix: QuantizedMatrix, i: number, weight: number): number {
  const scale = scaleAt(matrix, i);
  return withinGroup(matrix, i, scale === 0 ? 0 : Math.round(weight / scale / codesPerStep));
}

function withinGroup(matrix: QuantizedMatrix, i: number, level: number): number {
  const lowest = lowestAt(matrix, i);
  return Math.max(lowest, Math.min(lowest + LEVELS - 1, level));
}

/** The least level of a grouped matrix at position `i`. */
export function lowestAt({ lowest, columns, blockLength }: QuantizedMatrix, i: number): number {
  return lowest?.[Math.floor(i / columns / blockLength) * columns + (i % columns)] ?? 0;
}

export function scaleAt({ scales, columns, blockLength }: QuantizedMatrix, i: number): number {
  return scales[Math.floor(i / columns / blockLength) * columns + (i % columns)];
}

export function dequantizeMatrix(matrix: QuantizedMatrix): Float32Array {
  const { rows, columns, codes, scales, blockLength } = matrix;
  const weights = new Float32Array(codes.length);
  for (let row = 0; row < rows; row++) {
    const [from, block] = [row * columns, Math.floor(row / blockLength) * columns];
    for (let j = 0; j < columns; j++) weights[from + j] = codes[from + j] * scales[block + j];
  }
  return weights;
}

/** Bytes of the codes and scales as they are stored: nothing of pruned columns but a bit for each, which tells them. */
export function storedBytes(format: QuantFormat, matrix: QuantizedMatrix): number {
  const { rows, columns, scales } = matrix;
  const live = columns - prunedColumns(matrix).length;
  const scaleBits = live * ((scales.length / columns) * format.scaleBits + (format.columnBits ?? 0));
  const map = live < columns ? Math.ceil(columns / 8) : 0;
  return Math.ceil((rows * live * format.bits) / 8) + Math.ceil(scaleBits / 8) + map;
}

/** What a format's scales are searched with. */
interface Search {
  readonly ends: readonly number[];
  readonly fractions: readonly number[];
  /** By nearestByHalves, and twice the code that it begins with. */
  readonly table: Int8Array;
  readonly first: number;
}

function searchOf(format: QuantFormat): Search {
  const fractions = format.bits <= COARSE_BITS ? COARSE_CLIPPING : CLIPPING;
  const { codeBook } = format;
  return { ends: endsOf(format), fractions, table: nearestByHalves(codeBook), first: 2 * codeBook[0] };
}

function bestScale(format: QuantFormat, search: Search, strip: Float64Array): number {
  let largest = 0;
  for (const w of strip) largest = Math.max(largest, Math.abs(w));
  if (largest === 0) return 0;
  let best = { scale: 0, error: Number.POSITIVE_INFINITY };
  for (const end of search.ends) {
    for (const fraction of search.fractions) {
      const scale = roundScale(format, (largest * fraction) / end);
      const error = squaredError(search, strip, scale, best.error);
      if (error < best.error) best = { scale, error };
    }
  }
  return best.scale;
}

/** The codes that a block's largest weight may become: an unsymmetric code book may be turned round by a negative scale. */
function endsOf({ codeBook }: QuantFormat): number[] {
  const [lowest, highest] = [codeBook[0], codeBook[codeBook.length - 1]];
  const symmetric = codeBook.every((code, i) => code === -codeBook[codeBook.length - 1 - i]);
  return symmetric ? [highest] : [highest, lowest];
}

/** Of a strip under a scale; once it is at least `enough`, as far as it went. */
function squaredError({ table, first }: Search, strip: Float64Array, scale: number, enough: number): number {
  const halves = 2 / scale;
  const last = table.length - 1;
  let sum = 0;
  for (let i = 0; i < strip.length && sum < enough; i++) {
    const w = strip[i];
    const at = Math.floor(w * halves) - first;
    const error = w - scale * table[at < 0 ? 0 : Math.min(at, last)];
    sum += error * error;
  }
  return sum;
}

const bits = new DataView(new ArrayBuffer(4));

/** A scale that survives storing: bfloat16 (nearest) where the format stores 16 bits. Codes are chosen after rounding. */
export function roundScale(format: QuantFormat, scale: number): number {
  bits.setFloat32(0, scale);
  if (format.scaleBits === 16) bits.setUint32(0, (bits.getUint32(0) + 0x8000) & 0xffff0000);
  return bits.getFloat32(0);
}
