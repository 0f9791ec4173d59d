import type { Clock } from "../../runtime/base/clock.ts";

/** Time that stands still until a test lets it pass. */
export class VirtualClock implements Clock {
  readonly #timers = new Set<{ readonly at: number; readonly ring: () => void }>();
  #now = 0;

  /** What the wall clock is wrong by, milliseconds. */
  wrongBy = 0;

  readonly now = (): number => 1_700_000_000_000 + this.#now + this.wrongBy;
  readonly uptimeMs = (): number => this.#now;

  readonly sleep = (ms: number, signal?: AbortSignal): Promise<void> =>
    new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const stop = (): void => {
        this.#timers.delete(timer);
        reject(signal?.reason);
      };
      const ring = (): void => {
        signal?.removeEventListener("abort", stop);
        resolve();
      };
      const timer = { at: this.#now + ms, ring };
      this.#timers.add(timer);
      signal?.addEventListener("abort", stop);
    });

  advance(ms: number): void {
    this.#now += ms;
    for (const timer of [...this.#timers].sort((a, b) => a.at - b.at)) {
      if (timer.at > this.#now) break;
      this.#timers.delete(timer);
      timer.ring();
    }
  }
}

/** Lets everything that can happen now happen. */
export async function settle(turns = 20): Promise<void> {
  for (let i = 0; i < turns; i++) await new Promise((resolve) => setImmediate(resolve));
}
