import { entry } from "../../base/entry.ts";
import type { Tensor, Tf } from "../../kernels/float/tfjs.ts";
import type { Graph } from "../../model/graph.ts";
import { logitsOf } from "../divergence.ts";

/** What a student is to answer, and how much it matters. */
export interface Goal {
  readonly graph: Graph;
  /** Mean square of the float model's values, by name: an error counts relative to it. */
  readonly powers: ReadonlyMap<string, number>;
  /** Of the relative squared errors of values besides the answers, by name. */
  readonly weights: ReadonlyMap<string, number>;
}

/** Divergence of the answers (as in divergence.ts) and the weighed errors of other values, for one batch. */
export function lossOf(
  tf: Tf,
  { graph, powers, weights }: Goal,
  truth: ReadonlyMap<string, Float32Array>,
  answers: ReadonlyMap<string, Tensor>,
): Tensor {
  const logits = logitsOf(graph);
  const errorOf = (name: string): Tensor =>
    relativeError(tf, entry(truth, name), entry(answers, name), entry(powers, name));
  const first =
    logits === graph.output ? errorOf(logits) : divergence(tf, entry(truth, logits), entry(answers, logits));
  return [...weights].reduce((sum, [name, weight]) => tf.add(sum, tf.mul(errorOf(name), weight)), first);
}

/** Less is no probability that counts. */
const LEAST = 1e-9;

/** Mean Kullback-Leibler divergence of the classes; its gradient is the difference of the probabilities. */
function divergence(tf: Tf, truth: Float32Array, answers: Tensor): Tensor {
  const [count] = answers.shape;
  const apply = tf.customGrad((z, save) => {
    const logits = tf.reshape(z as Tensor, [count, -1]);
    const q = tf.softmax(logits);
    const p = tf.softmax(tf.tensor(truth, logits.shape));
    (save as (tensors: Tensor[]) => void)([tf.mul(tf.sub(q, p), 1 / count)]);
    const bits = tf.mul(p, tf.sub(tf.log(tf.add(p, LEAST)), tf.log(tf.add(q, LEAST))));
    return {
      value: tf.mul(tf.sum(bits), 1 / count),
      gradFunc: (dy, [slope]) => tf.mul(dy as Tensor, tf.reshape(slope, answers.shape)),
    };
  });
  return apply(answers);
}

function relativeError(tf: Tf, truth: Float32Array, answers: Tensor, power: number): Tensor {
  const share = 1 / (truth.length * power || 1);
  const apply = tf.customGrad((y, save) => {
    const error = tf.sub(y as Tensor, tf.tensor(truth, answers.shape));
    (save as (tensors: Tensor[]) => void)([error]);
    return {
      value: tf.mul(tf.sum(tf.square(error)), share),
      gradFunc: (dy, [left]) => tf.mul(left, tf.mul(dy as Tensor, 2 * share)),
    };
  });
  return apply(answers);
}
