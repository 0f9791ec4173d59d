import type { Tensor } from "../tensor/tensor.ts";

/** The last inputs, for recalibration on what the device really sees. In memory only; a capacity of 0 keeps none. */
export class Reservoir {
  readonly #capacity: number;
  #samples = new Float32Array();
  #length = 0;
  #seen = 0;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  get count(): number {
    return Math.min(this.#seen, this.#capacity);
  }

  add(input: Float32Array): void {
    if (this.#capacity === 0) return;
    if (input.length !== this.#length) this.#begin(input.length);
    this.#samples.set(input, (this.#seen++ % this.#capacity) * this.#length);
  }

  /**
   * `limit` samples to calibrate with: at most half of them from here, so that rare classes keep their share, then
   * `shipped` ones. Only those of the same size are of use.
   */
  mix(shipped: Tensor, limit: number): Tensor {
    const shippedCount = shipped.shape[0] ?? 0;
    const size = shipped.data.length / Math.max(1, shippedCount);
    const own = size === this.#length ? Math.min(this.count, Math.floor(limit / 2)) : 0;
    const rest = Math.min(shippedCount, limit - own);
    const data = new Float32Array((own + rest) * size);
    data.set(this.#samples.subarray(0, own * size));
    data.set(shipped.data.subarray(0, rest * size), own * size);
    return { shape: [own + rest, ...shipped.shape.slice(1)], data };
  }

  #begin(length: number): void {
    this.#length = length;
    this.#samples = new Float32Array(this.#capacity * length);
    this.#seen = 0;
  }
}
