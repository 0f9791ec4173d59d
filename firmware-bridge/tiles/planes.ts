/**
 * How a signed level lies in the cells of one tile column; host and emulator agree on it. A level of `weightBits` is a
 * magnitude and the side of the differential pair that conducts.
 *
 *   bit-planes   weightBits - 1 cell pairs, each 0 or 1; plane p counts 2^p
 *   multi-level  one cell pair that holds the whole magnitude
 *
 * One conversion reads one plane of one column for one bit of the inputs:
 *   sum = over bits b and planes p of 2^(b+p) * ADC(sum over rows with bit b of their cells in plane p)
 */
export interface CellLayout {
  readonly weightBits: number;
  readonly cells: "bit-planes" | "multi-level";
}

export const INPUT_BITS = 8;

export function maxLevel({ weightBits }: CellLayout): number {
  return 2 ** (weightBits - 1) - 1;
}

export function planeCount({ cells, weightBits }: CellLayout): number {
  return cells === "bit-planes" ? weightBits - 1 : 1;
}

/** Target of the cell pair of `plane`, signed, in unit cells. */
export function cellTarget({ cells }: CellLayout, level: number, plane: number): number {
  if (cells === "multi-level") return level;
  return ((Math.abs(level) >> plane) & 1) * Math.sign(level);
}

/** Bits that any code of each vector has: which input planes are not empty. */
export function usedBits(vectors: Uint8Array, rows: number): Uint8Array {
  const bits = new Uint8Array(vectors.length / rows);
  for (let i = 0; i < vectors.length; i++) bits[Math.floor(i / rows)] |= vectors[i];
  return bits;
}
