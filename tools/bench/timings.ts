/** How long each of many turns took, in microseconds. More than fit are not needed. */
export class Timings {
  readonly #each: Float64Array = new Float64Array(2 ** 16);
  #count = 0;

  add(milliseconds: number): void {
    if (this.#count < this.#each.length) this.#each[this.#count++] = 1000 * milliseconds;
  }

  /** At shares of the turns: 0 the least, 0.5 the median, 1 the greatest. */
  at(...shares: readonly number[]): number[] {
    const sorted = this.#each.slice(0, this.#count).sort();
    return shares.map((share) => sorted[Math.floor(share * (sorted.length - 1))]);
  }
}
