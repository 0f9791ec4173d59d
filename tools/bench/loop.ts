/**
 * A loop that needs nothing but registers and shares nothing with an engine, as long as one inference: what delays its
 * slowest thousandth (timer ticks, other work, a host that takes the core away) is the machine's, and delays inferences, too.
 */
export class Loop {
  readonly #turns: number;
  #state = 1;

  constructor(microseconds: number) {
    this.#turns = Math.max(1, Math.round((TRIAL * microseconds) / this.#trialUs()));
  }

  run(turns: number = this.#turns): void {
    let state = this.#state;
    for (let i = 0; i < turns; i++) state = (Math.imul(state, 1664525) + 1013904223) | 0;
    this.#state = state;
  }

  /** The least of so many trials that the loop has been compiled for good in the last ones. */
  #trialUs(): number {
    let least = Number.POSITIVE_INFINITY;
    for (let i = 0; i < TRIALS; i++) {
      const start = performance.now();
      this.run(TRIAL);
      least = Math.min(least, 1000 * (performance.now() - start));
    }
    return least;
  }
}

const TRIALS = 500;
const TRIAL = 10_000;
