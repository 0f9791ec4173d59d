import { type Arena, arrayOf, startOf } from "./arena.ts";
import { type Folded, type FoldedSurrogate, foldFinish, foldProduct } from "./folding.ts";
import { bindGather } from "./reference-layout.ts";
import { stored } from "./rounding.ts";
import type { ConvStep, DepthwiseStep, FinishStep, Slot } from "./step.ts";

const round = Math.fround;

export function bindConv(arena: Arena, step: ConvStep): () => void {
  const folded = foldProduct(step);
  const { rows, columns, blockLength, codes } = step.weights;
  const { gather, vectors, count } = gathered(arena, step);
  const sums = new Int32Array(columns);
  const tail = tailOf(arena, folded, step.output, step.residual);

  return () => {
    gather();
    for (let p = 0; p < count; p++) {
      tail.begin();
      for (let block = 0, k = 0; k < rows; block++) {
        sums.fill(0);
        for (const end = Math.min(rows, k + blockLength); k < end; k++) {
          const x = vectors[p * rows + k];
          for (let j = 0; j < columns; j++) sums[j] += x * codes[k * columns + j];
        }
        tail.add(sums, 0, block);
      }
      tail.finish(p, vectors, p * rows);
    }
  };
}

export function bindDepthwise(arena: Arena, step: DepthwiseStep): () => void {
  const folded = foldProduct(step);
  const { rows: taps, columns: channels, codes } = step.weights;
  const { gather, vectors, count } = gathered(arena, step);
  const sums = new Int32Array(channels);
  const tail = tailOf(arena, folded, step.output);

  return () => {
    gather();
    for (let p = 0; p < count; p++) {
      tail.begin();
      sums.fill(0);
      for (let i = 0; i < taps * channels; i++) sums[i % channels] += vectors[p * taps * channels + i] * codes[i];
      tail.add(sums, 0, 0);
      tail.finish(p, vectors, p * taps * channels);
    }
  };
}

export function bindFinish(arena: Arena, step: FinishStep): () => void {
  const folded = foldFinish(step);
  const [count, , rows] = step.vectors.shape;
  const [, , columns] = step.product.shape;
  const tail = tailOf(arena, folded, step.output, step.residual);

  return () => {
    const vectors = arena.bytes;
    for (let p = 0; p < count; p++) {
      tail.begin();
      tail.add(arena.floats, startOf(step.product) + p * columns, 0);
      tail.finish(p, vectors, step.vectors.offset + p * rows);
    }
  };
}

/** The windows of a step, one after the other, in an array of its own. */
function gathered(arena: Arena, step: ConvStep | DepthwiseStep): Gathered {
  const { input, output, kernel } = step;
  const rows = kernel[0] * kernel[1] * input.shape[2];
  const count = output.shape[0] * output.shape[1];
  const vectors = new Uint8Array(count * rows);
  const own = { bytes: vectors, floats: new Float32Array() };
  const target: Slot = { ...input, offset: 0, shape: [count, 1, rows] };
  return { gather: bindGather(arena, { ...step, op: "gather", output: target }, output.shape[1], own), vectors, count };
}

interface Gathered {
  readonly gather: () => void;
  readonly vectors: Uint8Array;
  readonly count: number;
}

/** What follows the sums of one position: y = bias; y += sums * scales, block by block; y += z b; y += residual; stored. */
interface Tail {
  begin(): void;
  /** The sums of a block are at `at`, one per column. */
  add(sums: Int32Array | Float32Array, at: number, block: number): void;
  /** `vectors` has the position's codes at `at`. */
  finish(position: number, vectors: Uint8Array, at: number): void;
}

function tailOf(
  arena: Arena,
  { scales, bias, surrogate, residualScale, target }: Folded,
  output: Slot,
  residual?: Slot,
): Tail {
  const columns = bias.length;
  const y = new Float32Array(columns);
  return {
    begin: () => y.set(bias),
    add: (sums, at, block) => {
      for (let j = 0; j < columns; j++) y[j] += round(round(sums[at + j]) * scales[block * columns + j]);
    },
    finish: (p, vectors, at) => {
      if (surrogate) addSurrogate(surrogate, y, vectors, at);
      for (let j = 0; residual && j < columns; j++) {
        y[j] += round(arena.bytes[residual.offset + p * columns + j] * residualScale);
      }
      const to = startOf(output) + p * columns;
      const array = arrayOf(arena, output);
      for (let j = 0; j < columns; j++) array[to + j] = stored(y[j], target);
    },
  };
}

function addSurrogate(surrogate: FoldedSurrogate, y: Float32Array, vectors: Uint8Array, at: number): void {
  for (let r = 0; r < surrogate.rank; r++) {
    const z = projected(surrogate, r, vectors, at);
    for (let j = 0; j < y.length; j++) y[j] += round(z * surrogate.b[r * y.length + j]);
  }
}

/** z[r] of the vector at `at`. */
function projected({ rank, a, scales, bias }: FoldedSurrogate, r: number, vectors: Uint8Array, at: number): number {
  let sum = 0;
  for (let i = r, k = at; i < a.length; i += rank, k++) sum += vectors[k] * a[i];
  return round(bias[r] + round(round(sum) * scales[r]));
}
