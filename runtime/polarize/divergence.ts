import { type Graph, shapeOf } from "../model/graph.ts";
import { sizeOf } from "../tensor/tensor.ts";

/** The value before a softmax that ends the model, or its output. */
export function logitsOf({ nodes, output }: Graph): string {
  const last = nodes.find(({ name }) => name === output);
  return last?.op === "softmax" ? last.inputs[0] : output;
}

/**
 * How far answers are from true ones, both `count` x outputs as they are at `logitsOf`: the mean Kullback-Leibler
 * divergence of the classes (nats) where a softmax follows, otherwise the error's share of the variance.
 */
export function divergence(graph: Graph, truth: Float32Array, answers: Float32Array, count: number): number {
  if (logitsOf(graph) === graph.output) return errorShare(truth, answers);
  const classes = sizeOf(shapeOf(graph, graph.output));
  let sum = 0;
  for (let i = 0; i < count * classes; i += classes) {
    const [p, q] = [truth.subarray(i, i + classes), answers.subarray(i, i + classes)];
    sum += divergenceOf(logSoftmax(p), logSoftmax(q));
  }
  return sum / count;
}

/** Sum of p (ln p - ln q). */
export function divergenceOf(lnP: Float64Array, lnQ: Float64Array): number {
  return lnP.reduce((sum, ln, j) => sum + Math.exp(ln) * (ln - lnQ[j]), 0);
}

export function logSoftmax(logits: Float32Array): Float64Array {
  const largest = logits.reduce((most, x) => Math.max(most, x), Number.NEGATIVE_INFINITY);
  const total = logits.reduce((sum, x) => sum + Math.exp(x - largest), 0);
  return Float64Array.from(logits, (x) => x - largest - Math.log(total));
}

function errorShare(truth: Float32Array, answers: Float32Array): number {
  const mean = truth.reduce((sum, x) => sum + x, 0) / truth.length;
  const error = truth.reduce((sum, x, i) => sum + (answers[i] - x) ** 2, 0);
  return error / (truth.reduce((sum, x) => sum + (x - mean) ** 2, 0) || 1);
}
