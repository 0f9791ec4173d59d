import { columnGains } from "../../runtime/polarize/surrogate.ts";
import { columnMeans } from "../../runtime/tensor/linear.ts";

/** What brings the answers of a tile that has drifted back to what they were: for each column gain * sum + shift. */
export interface Trim {
  readonly gain: Float32Array;
  /** In levels. */
  readonly shift: Float32Array;
}

export function untrimmed(columns: number): Trim {
  return { gain: new Float32Array(columns).fill(1), shift: new Float32Array(columns) };
}

/** @param answers, meant count x columns, levels: as they are, and as fresh cells would have answered */
export function trimOf(answers: Float32Array, meant: Float32Array, count: number, columns: number): Trim {
  const gain = columnGains(answers, meant, count, columns);
  const left = meant.map((level, i) => level - gain[i % columns] * answers[i]);
  return { gain, shift: Float32Array.from(columnMeans(left, count, columns)) };
}
