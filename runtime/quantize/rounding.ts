import type { FormatName, QuantizedMatrix, RoundingName } from "../model/stages.ts";
import { adaround } from "./adaround.ts";
import { alternate, type Rounded } from "./alternate.ts";
import { emptyMatrix, type QuantFormat, quantizeMatrix } from "./format.ts";
import { formats } from "./formats.ts";
import { gptqSettled, type RoundingOrder } from "./gptq.ts";
import { cleared } from "./pruning.ts";
import { refitScales } from "./scales.ts";

/** Codes and scales for weights. */
export type Round = (
  format: QuantFormat,
  weights: Float32Array,
  columns: number,
  blockLength: number,
  order: RoundingOrder,
) => QuantizedMatrix;

interface Rounding {
  readonly round: Round;
  /** How often coarse codes and their surrogate are chosen in turns; more gains nothing or takes too long. */
  readonly turns: number;
}

/**
 * How weights become codes. gptq: row by row, each making good what those before it cost, then the best code for each
 * weight beside all others (gptq.ts, descent.ts). adaround: all together along the gradient of their error
 * (adaround.ts), which takes longer. nearest: each by itself.
 */
const roundings: Readonly<Record<RoundingName, Rounding>> = {
  gptq: { round: gptqSettled, turns: 12 },
  adaround: { round: learned, turns: 1 },
  nearest: { round: quantizeMatrix, turns: 0 },
};

/**
 * Up to this many bits the codes are chosen together with the surrogate, in turns. Over five draws each: at two bits
 * 2 pp of agreement; at four, KL .0048 -> .0036 on keywords and .0081 -> .0060 on images.
 */
const COARSE_BITS = 4;

/**
 * Weights to codes so that the errors of a column cancel on real inputs, the coarse ones together with the surrogate that
 * follows.
 * @param order of the layer's inputs
 * @param rank of the surrogate
 */
export function roundMatrix(
  format: FormatName,
  weights: Float32Array,
  columns: number,
  blockLength: number,
  order: RoundingOrder,
  rank: number,
  { rounding = "gptq", turns = roundings[rounding].turns, pruned = [] }: RoundingOptions = {},
): Rounded {
  const row = formats[format];
  const round = (left: Float32Array): QuantizedMatrix =>
    cleared(roundings[rounding].round(row, left, columns, blockLength, order), pruned);
  const together = rank > 0 && row.bits <= COARSE_BITS;
  return alternate(round, weights, order, rank, together ? turns : 0);
}

export interface RoundingOptions {
  readonly rounding?: RoundingName | undefined;
  /** Fewer than the rounding takes by itself. */
  readonly turns?: number | undefined;
  /** Columns of no bits (pruning.ts). */
  readonly pruned?: readonly number[] | undefined;
}

function learned(...[format, weights, columns, blockLength, { metric }]: Parameters<Round>): QuantizedMatrix {
  const matrix = adaround(format, emptyMatrix(format, weights, columns, blockLength), weights, metric);
  return format.grouped ? matrix : refitScales(format, matrix, weights, metric);
}
