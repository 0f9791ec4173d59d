import type { Clock } from "../base/clock.ts";

/** The clock, but never earlier than what was known before, plus the time that has passed since. */
export class EarliestTime {
  readonly #clock: Pick<Clock, "now" | "uptimeMs">;
  #known = { atMs: Number.NEGATIVE_INFINITY, uptimeMs: 0 };

  constructor(clock: Pick<Clock, "now" | "uptimeMs">) {
    this.#clock = clock;
  }

  /** @param atMs a time that has passed for certain, UTC in milliseconds */
  now(atMs: number = Number.NEGATIVE_INFINITY): number {
    const uptimeMs = this.#clock.uptimeMs();
    const earliest = Math.max(atMs, this.#known.atMs + uptimeMs - this.#known.uptimeMs);
    if (earliest > this.#known.atMs) this.#known = { atMs: earliest, uptimeMs };
    return Math.max(earliest, this.#clock.now());
  }
}
