import { uniform } from "../../runtime/base/random.ts";
import type { Tensor } from "../../runtime/tensor/tensor.ts";
import { BANDS, modulationMap, ORDERS } from "./features.ts";
import { conditions, vibration } from "./machine.ts";

export interface Samples {
  /** [count, BANDS, ORDERS, 1]. */
  readonly inputs: Tensor;
  /** The class of each: a place in `conditions`. */
  readonly labels: Int32Array;
}

/** Recordings of as many machines, every condition equally likely. The same for the same seed. */
export function bearingSamples(count: number, seed: number): Samples {
  const next = uniform(seed);
  const data = new Float32Array(count * BANDS * ORDERS);
  const labels = new Int32Array(count);
  for (let i = 0; i < count; i++) {
    labels[i] = Math.floor(next() * conditions.length);
    data.set(modulationMap(vibration(conditions[labels[i]], Math.floor(next() * 2 ** 32))), i * BANDS * ORDERS);
  }
  return { inputs: { shape: [count, BANDS, ORDERS, 1], data }, labels };
}
