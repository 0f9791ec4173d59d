import { isStatistics, type SampleStatistics, type Samples } from "../polarize/statistics.ts";

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
   * `shipped` ones. Only those of the same size are of use. Where only statistics were shipped, half as many real samples
   * are better than those.
   */
  mix(shipped: Samples, limit: number): Samples {
    if (isStatistics(shipped)) return this.#instead(shipped, limit);
    const shippedCount = shipped.shape[0] ?? 0;
    const size = shipped.data.length / Math.max(1, shippedCount);
    const own = size === this.#length ? Math.min(this.count, Math.floor(limit / 2)) : 0;
    const rest = Math.min(shippedCount, limit - own);
    const data = new Float32Array((own + rest) * size);
    data.set(this.#samples.subarray(0, own * size));
    data.set(shipped.data.subarray(0, rest * size), own * size);
    return { shape: [own + rest, ...shipped.shape.slice(1)], data };
  }

  #instead(shipped: SampleStatistics, limit: number): Samples {
    const own = Math.min(this.count, limit);
    if (shipped.means.length !== this.#length || own < limit / 2) return shipped;
    return { shape: [own, ...shipped.shape], data: this.#samples.slice(0, own * this.#length) };
  }

  #begin(length: number): void {
    this.#length = length;
    this.#samples = new Float32Array(this.#capacity * length);
    this.#seen = 0;
  }
}
