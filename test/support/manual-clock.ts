import type { Clock } from "../../runtime/base/clock.ts";

interface Sleeper {
  readonly atMs: number;
  wake(): void;
}

/** Time that only passes when a test lets it. */
export class ManualClock implements Clock {
  #ms = 0;
  readonly #sleepers = new Set<Sleeper>();

  now(): number {
    return this.#ms;
  }

  uptimeMs(): number {
    return this.#ms;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const abort = (): void => {
        this.#sleepers.delete(sleeper);
        reject(signal?.reason);
      };
      const wake = (): void => {
        signal?.removeEventListener("abort", abort);
        resolve();
      };
      const sleeper = { atMs: this.#ms + ms, wake };
      this.#sleepers.add(sleeper);
      signal?.addEventListener("abort", abort, { once: true });
    });
  }

  /** Lets what is ready run, for a few turns of the event loop. */
  async settle(turns = 8): Promise<void> {
    for (let i = 0; i < turns; i++) await new Promise((resolve) => setImmediate(resolve));
  }

  /** Lets `ms` pass, waking sleepers at their time. */
  async pass(ms: number): Promise<void> {
    const end = this.#ms + ms;
    for (let next = this.#next(); next && next.atMs <= end; next = this.#next()) await this.#wake(next);
    this.#ms = end;
    await this.settle();
  }

  /** Lets as much time pass as `work` needs, and no more than `limitMs`. */
  async until<T>(work: Promise<T>, limitMs = 1e6): Promise<T> {
    let done = false;
    const outcome = work.finally(() => {
      done = true;
    });
    outcome.catch(() => {});
    await this.settle();
    for (let next = this.#next(); !done && next; next = this.#next()) {
      if (next.atMs > limitMs) throw new Error(`not done after ${limitMs} ms`);
      await this.#wake(next);
    }
    return outcome;
  }

  #next(): Sleeper | undefined {
    return [...this.#sleepers].sort((a, b) => a.atMs - b.atMs)[0];
  }

  async #wake(sleeper: Sleeper): Promise<void> {
    this.#sleepers.delete(sleeper);
    this.#ms = Math.max(this.#ms, sleeper.atMs);
    sleeper.wake();
    await this.settle();
  }
}
