import { GATES, type Recurrence } from "../../model/graph.ts";
import type { Tensor, Tf } from "./tfjs.ts";

/** All samples side by side, one step in time after the other. */
export function recurred(tf: Tf, node: Recurrence, input: Tensor, weights: Tensor, bias: Tensor): Tensor {
  const { rows, columns, cell, reverse, shape } = node;
  const samples = input.shape[0];
  const moments = tf.unstack(tf.reshape(input, [samples, shape[1], columns]), 1);
  let h: Tensor = tf.zeros([samples, rows]);
  let c = h;
  const answers: Tensor[] = [];
  for (const x of reverse ? moments.toReversed() : moments) {
    const [xs, vs] = [x, tf.add(tf.matMul(h, weights), bias)].map((gates) => tf.split(gates, GATES[cell], 1));
    const gate = (i: number): Tensor => tf.sigmoid(tf.add(xs[i], vs[i]));
    if (cell === "lstm") {
      c = tf.add(tf.mul(gate(2), c), tf.mul(gate(0), tf.tanh(tf.add(xs[3], vs[3]))));
      h = tf.mul(gate(1), tf.tanh(c));
    } else {
      const z = gate(0);
      const candidate = tf.tanh(tf.add(xs[2], tf.mul(gate(1), vs[2])));
      h = tf.add(tf.mul(z, h), tf.mul(tf.sub(1, z), candidate));
    }
    answers.push(h);
  }
  return tf.stack(reverse ? answers.toReversed() : answers, 1);
}
