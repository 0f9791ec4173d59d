import type { UnitLayer } from "../../runtime/plan/unit.ts";

/** A layer whose weights run through -0.5..0.5 and whose `vectors` typical inputs run through all codes. */
export function patternLayer(rows: number, columns: number, vectors: number): UnitLayer {
  return {
    name: "layer",
    rows,
    columns,
    weights: Float32Array.from({ length: rows * columns }, (_, i) => ((i * 37) % 101) / 101 - 0.5),
    typicalInputs: patternCodes(rows, vectors),
    positions: 1,
  };
}

/** `count` vectors of `rows` codes. */
export function patternCodes(rows: number, count: number): Uint8Array {
  return Uint8Array.from({ length: rows * count }, (_, i) => (i * 31) & 0xff);
}
