import { gaussian, uniform } from "../../base/random.ts";
import type { Shape } from "../../tensor/tensor.ts";
import { isMovable, moved } from "../augment.ts";

/** Rows that samples are moved by, at most. */
const FURTHEST = 2;
/** Of the root mean square of all samples; each variation has its own share of it. */
const NOISE = 0.05;
/** Random numbers that the noise is cut from. */
const TABLE = 2 ** 16;

/**
 * Inputs without end, made from a few samples: two of them, each moved by a row or two, mixed in random shares (mixup,
 * arXiv 1710.09412), with a little noise. The float model answers to them as to any other. (Without mixing what is
 * learnt by heart outweighs what is learnt: keywords at two bits, KL of other samples .038 -> .038; with it .035.)
 * @param inputs samples of `shape`, one after the other
 */
export function variationsOf(inputs: Float32Array, shape: Shape, seed: number): (count: number) => Float32Array {
  const [next, normal] = [uniform(seed), gaussian(seed + 1)];
  const size = shape.reduce((product, length) => product * length, 1);
  const samples = inputs.length / size;
  const noise = Float32Array.from({ length: TABLE }, normal);
  const deviation = NOISE * Math.sqrt(inputs.reduce((sum, x) => sum + x * x, 0) / inputs.length);
  const below = (count: number): number => Math.floor(next() * count);
  const one = (): Float32Array => {
    const from = below(samples) * size;
    const sample = inputs.subarray(from, from + size);
    return isMovable(shape) ? moved(sample, 1, shape[1], below(2 * FURTHEST + 1) - FURTHEST) : sample;
  };
  return (count) => {
    const out = new Float32Array(count * size);
    for (let at = 0; at < out.length; at += size) {
      const [first, second, share, loud, start] = [one(), one(), next(), deviation * next(), below(TABLE)];
      for (let i = 0; i < size; i++) {
        out[at + i] = share * first[i] + (1 - share) * second[i] + loud * noise[(start + i) % TABLE];
      }
    }
    return out;
  };
}
