import type { Conv2d, Dense } from "../model/graph.ts";
import type { Affine, Correction } from "../model/stages.ts";
import { product } from "../tensor/products.ts";

/**
 * Precision Gating (arXiv 2002.07136) after training: the high bits of the input codes are multiplied first, and their
 * products say which outputs are worth the low bits. It pays where the low bits are really left out: bit planes of an
 * accelerator, output by output, or on SIMD the whole vector, if none of its outputs needs them.
 */
export interface Gate {
  /** Of the eight bits of a code: how many are multiplied first. */
  readonly highBits: number;
  /**
   * Which of the count x columns outputs need the low bits too: 1, others 0.
   * @param inputs count x rows, whole codes
   * @param high count x columns, products of `highPart(inputs)` with the weights, in weight units
   */
  needed(inputs: Uint8Array, high: Float32Array, count: number): Uint8Array;
  /** One per column: what the low bits bring on average where they are left out, in weight units. */
  readonly usual: Float32Array;
}

const CODE_BITS = 8;

/** MSB = floor(u / 2^(b - bh)) 2^(b - bh); what is left of the codes is the low part. */
export function highPart(codes: Uint8Array, highBits: number): Uint8Array {
  const mask = 256 - 2 ** (CODE_BITS - highBits);
  return codes.map((code) => code & mask);
}

/** What a layer computes around its product, with the main path's zero point in the bias (as on an accelerator). */
export interface GatedLayer {
  readonly node: Conv2d | Dense;
  readonly input: Affine;
  readonly correction: Correction;
  /** What is multiplied by, rows x columns. */
  readonly weights: Float32Array;
}

/**
 * Changes no answer: an output is left at its high part only where no low bits could lift it above the clamp's lower
 * end, because all of them at their greatest on all positive weights would not. What the surrogate adds is known.
 */
export function safeGate({ node, input, correction, weights }: GatedLayer, highBits: number): Gate {
  const { rows, columns, clamp } = node;
  const { gain, bias, surrogate } = correction;
  const factor = gain.map((g) => input.scale * g);
  const reach = new Float64Array(columns);
  for (const [i, w] of weights.entries()) {
    reach[i % columns] += Math.max(0, factor[i % columns] * w) * (2 ** (CODE_BITS - highBits) - 1);
  }
  return {
    highBits,
    usual: new Float32Array(columns),
    needed(inputs, high, count) {
      const path = surrogate && lowRankPath(inputs, input, count, rows, columns, surrogate);
      return Uint8Array.from(high, (p, i) => {
        const j = i % columns;
        return factor[j] * p + bias[j] + (path ? path[i] : 0) + reach[j] > clamp.min ? 1 : 0;
      });
    },
  };
}

/** Products of one layer on the calibration samples, vectors x columns. */
export interface SeenProducts {
  readonly high: Float32Array;
  readonly whole: Float32Array;
}

/**
 * out_msb > threshold: what is small is not worth its low bits. The thresholds are those that hold back a `share` of
 * the outputs of each column.
 */
export function quantileGate({ high, whole }: SeenProducts, columns: number, share: number, highBits: number): Gate {
  const thresholds = columnQuantiles(high, columns, share);
  const needed = (products: Float32Array): Uint8Array =>
    Uint8Array.from(products, (p, i) => (p > thresholds[i % columns] ? 1 : 0));
  const [usual, held] = [new Float32Array(columns), new Float32Array(columns)];
  for (const [i, isNeeded] of needed(high).entries()) {
    if (isNeeded) continue;
    usual[i % columns] += whole[i] - high[i];
    held[i % columns]++;
  }
  return {
    highBits,
    usual: usual.map((sum, j) => sum / Math.max(1, held[j])),
    needed: (_, products) => needed(products),
  };
}

/** The value of each column that a `share` of its rows does not exceed; below all of them for a share of 0. */
function columnQuantiles(products: Float32Array, columns: number, share: number): Float32Array {
  const rows = products.length / columns;
  return Float32Array.from({ length: columns }, (_, j) => {
    const sorted = Float32Array.from({ length: rows }, (_, i) => products[i * columns + j]).sort();
    const below = Math.round(share * rows);
    return below === 0 ? Number.NEGATIVE_INFINITY : sorted[below - 1];
  });
}

function lowRankPath(
  codes: Uint8Array,
  { scale, zeroPoint }: Affine,
  count: number,
  rows: number,
  columns: number,
  { rank, a, b }: NonNullable<Correction["surrogate"]>,
): Float64Array {
  const inputs = Float32Array.from(codes, (code) => scale * (code - zeroPoint));
  return product(product(inputs, a, count, rows, rank), b, count, rank, columns);
}
