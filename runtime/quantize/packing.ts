import type { QuantizedMatrix } from "../model/stages.ts";
import { lowestAt, type QuantFormat, scaleAt } from "./format.ts";
import { LEVELS } from "./grouped.ts";

/**
 * Codes as they are stored: indices into the format's code book, or into the levels of their group, `bits` each, the
 * first in the lowest bits.
 */
export function packCodes(format: QuantFormat, matrix: QuantizedMatrix): Uint8Array {
  const { codes } = matrix;
  const indexOf = format.grouped ? levelOf(format, matrix) : bookIndexOf(format, codes);
  const packed = new Uint8Array(Math.ceil((codes.length * format.bits) / 8));
  for (let i = 0; i < codes.length; i++) putBits(packed, i * format.bits, indexOf(i));
  return packed;
}

/** @param shape the matrix but for its codes */
export function unpackCodes(format: QuantFormat, packed: Uint8Array, shape: Omit<QuantizedMatrix, "codes">): Int8Array {
  const { bits, grouped, codeBook } = format;
  const codes = new Int8Array(shape.rows * shape.columns);
  const mask = (1 << bits) - 1;
  if (grouped) {
    const matrix = { ...shape, codes };
    for (let i = 0; i < codes.length; i++) {
      codes[i] = grouped.code(lowestAt(matrix, i) + (bitsAt(packed, i * bits) & mask), scaleAt(matrix, i));
    }
  } else if (bits === 8) {
    for (let i = 0; i < codes.length; i++) codes[i] = codeBook[packed[i]];
  } else {
    for (let i = 0; i < codes.length; i++) codes[i] = codeBook[bitsAt(packed, i * bits) & mask];
  }
  return codes;
}

function bookIndexOf({ codeBook }: QuantFormat, codes: Int8Array): (i: number) => number {
  const indices = new Uint8Array(256);
  for (const [index, value] of codeBook.entries()) indices[value & 255] = index;
  return (i) => indices[codes[i] & 255];
}

/** Two levels of a group may have the same code; either will do. */
function levelOf({ grouped }: QuantFormat, matrix: QuantizedMatrix): (i: number) => number {
  return (i) => {
    let index = 0;
    while (index < LEVELS - 1 && grouped?.code(lowestAt(matrix, i) + index, scaleAt(matrix, i)) !== matrix.codes[i])
      index++;
    return index;
  };
}

function putBits(to: Uint8Array, at: number, value: number): void {
  const shifted = value << (at & 7);
  to[at >> 3] |= shifted;
  if (shifted > 255) to[(at >> 3) + 1] |= shifted >> 8;
}

function bitsAt(from: Uint8Array, at: number): number {
  return ((from[at >> 3] | ((from[(at >> 3) + 1] ?? 0) << 8)) >> (at & 7)) & 255;
}
