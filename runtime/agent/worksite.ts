import type { Clock } from "../base/clock.ts";
import { Failure } from "../base/failure.ts";

export type Result<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: unknown };

/**
 * One piece of work at a time. A new one aborts the one before and waits for it to be gone, so that two never write
 * the same file; what was aborted says nothing any more.
 */
export class Worksite {
  readonly #clock: Clock;
  #current: { readonly controller: AbortController; readonly gone: Promise<unknown> } | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** `then` hears how it ended, unless it was aborted. @throws never */
  begin<T>(seconds: number, work: (signal: AbortSignal) => Promise<T>, then: (result: Result<T>) => void): void {
    const before = this.#current?.gone;
    this.abort();
    const controller = new AbortController();
    const gone = this.#run(before, seconds, controller, work).then((result) => {
      if (this.#current?.controller !== controller) return;
      this.#current = undefined;
      then(result);
    });
    this.#current = { controller, gone };
  }

  abort(): void {
    const current = this.#current;
    this.#current = current && { controller: new AbortController(), gone: current.gone };
    current?.controller.abort(new Failure("job/canceled", "the work was given up"));
  }

  /** Resolves once nothing is at work. */
  async idle(): Promise<void> {
    await this.#current?.gone;
  }

  async #run<T>(
    before: Promise<unknown> | undefined,
    seconds: number,
    controller: AbortController,
    work: (signal: AbortSignal) => Promise<T>,
  ): Promise<Result<T>> {
    await before;
    const { signal } = controller;
    const over = new AbortController();
    const late = this.#clock.sleep(seconds * 1000, over.signal).then(
      () => controller.abort(new Failure("job/timed-out", `it took longer than ${seconds} s`)),
      () => undefined,
    );
    try {
      signal.throwIfAborted();
      return { ok: true, value: await work(signal) };
    } catch (error) {
      return { ok: false, error: signal.aborted ? signal.reason : error };
    } finally {
      over.abort();
      await late;
    }
  }
}
