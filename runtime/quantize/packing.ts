import type { QuantFormat } from "./format.ts";

/**
 * Codes as they are stored: indices into the format's code book, `bits` each, the first in the lowest bits.
 */
export function packCodes(format: QuantFormat, codes: Int8Array): Uint8Array {
  const indexOf = new Uint8Array(256);
  for (const [index, value] of format.codeBook.entries()) indexOf[value & 255] = index;
  const packed = new Uint8Array(Math.ceil((codes.length * format.bits) / 8));
  for (let i = 0; i < codes.length; i++) putBits(packed, i * format.bits, indexOf[codes[i] & 255]);
  return packed;
}

export function unpackCodes(format: QuantFormat, packed: Uint8Array, length: number): Int8Array {
  const mask = (1 << format.bits) - 1;
  return Int8Array.from({ length }, (_, i) => format.codeBook[bitsAt(packed, i * format.bits) & mask]);
}

function putBits(to: Uint8Array, at: number, value: number): void {
  const shifted = value << (at & 7);
  to[at >> 3] |= shifted;
  if (shifted > 255) to[(at >> 3) + 1] |= shifted >> 8;
}

function bitsAt(from: Uint8Array, at: number): number {
  return ((from[at >> 3] | ((from[(at >> 3) + 1] ?? 0) << 8)) >> (at & 7)) & 255;
}
