/** Eight buckets per octave of microseconds: a percentile is right within 5 %. The last one is past an hour. */
const PER_OCTAVE = 8;
const BUCKETS = 32 * PER_OCTAVE;

/**
 * Counts inferences and their latencies, without allocation. Percentiles are over the current window and the one
 * before, so they neither jump at its end nor remember for ever.
 */
export class Meter {
  total = 0;
  errors = 0;
  totalMs = 0;
  #now = new Uint32Array(BUCKETS);
  #before = new Uint32Array(BUCKETS);

  count(latencyMs: number, ok: boolean): void {
    this.total++;
    this.totalMs += latencyMs;
    if (!ok) this.errors++;
    this.#now[bucketOf(latencyMs)]++;
  }

  /** Begins a new window. */
  turn(): void {
    [this.#now, this.#before] = [this.#before, this.#now];
    this.#now.fill(0);
  }

  /** Percentiles of what comes are of another model. */
  forget(): void {
    this.#now.fill(0);
    this.#before.fill(0);
  }

  /** Milliseconds, or undefined if the window is empty. */
  percentile(share: number): number | undefined {
    let inWindow = 0;
    for (let i = 0; i < BUCKETS; i++) inWindow += this.#now[i] + this.#before[i];
    let rest = Math.ceil(share * inWindow);
    for (let i = 0; i < BUCKETS && inWindow > 0; i++) {
      rest -= this.#now[i] + this.#before[i];
      if (rest <= 0) return 2 ** ((i + 0.5) / PER_OCTAVE) / 1000;
    }
    return undefined;
  }
}

function bucketOf(latencyMs: number): number {
  const bucket = Math.floor(PER_OCTAVE * Math.log2(latencyMs * 1000));
  return Math.min(BUCKETS - 1, Math.max(0, bucket || 0));
}
