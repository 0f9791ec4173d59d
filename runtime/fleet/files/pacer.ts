import type { Clock } from "../../base/clock.ts";

/** Lets bytes through at a rate, on average; a pause is not saved up for later. */
export class Pacer {
  readonly #clock: Clock;
  readonly #bytesPerMs: number;
  #freeAtMs = 0;

  /** @param kBps thousands of bytes a second; no limit when absent */
  constructor(clock: Clock, kBps: number = Number.POSITIVE_INFINITY) {
    this.#clock = clock;
    this.#bytesPerMs = kBps;
  }

  /** Resolves when it is time for so many more. */
  async take(bytes: number, signal: AbortSignal): Promise<void> {
    const now = this.#clock.uptimeMs();
    const waitMs = this.#freeAtMs - now;
    this.#freeAtMs = Math.max(now, this.#freeAtMs) + bytes / this.#bytesPerMs;
    if (waitMs > 0) await this.#clock.sleep(waitMs, signal);
  }
}
