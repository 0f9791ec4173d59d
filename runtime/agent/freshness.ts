import { isFailure, messageOf } from "../base/failure.ts";
import type { Announcement, Event } from "./events.ts";
import type { AgentParts } from "./ports.ts";
import type { State } from "./state.ts";

/** What it asks of the agent. */
export interface FreshnessAgent {
  state(): State;
  post(event: Event): Promise<void>;
  announce(what: Announcement): void;
}

const REFRESH_MS = 6 * 3600 * 1000;
const AGAIN_MS = 10 * 60 * 1000;
const PATIENCE_MS = 60_000;

/**
 * Looks for newer metadata without being asked, so that a repository that somebody keeps frozen, or that nobody renews,
 * is noticed before the next job; and keeps on disk what time it is at least.
 */
export class Freshness {
  readonly #parts: Pick<AgentParts, "trust" | "clock" | "log">;
  readonly #agent: FreshnessAgent;
  readonly #closing = new AbortController();
  #done: Promise<void> = Promise.resolve();
  #told: string | undefined;

  constructor(parts: Pick<AgentParts, "trust" | "clock" | "log">, agent: FreshnessAgent) {
    this.#parts = parts;
    this.#agent = agent;
  }

  /** No new installs until the repository is renewed. */
  get frozen(): boolean {
    return this.#parts.trust?.isFrozen(this.#agent.state().trusted) ?? false;
  }

  begin(): void {
    if (this.#parts.trust) this.#done = this.#run(this.#parts.trust);
  }

  async end(): Promise<void> {
    this.#closing.abort();
    await this.#done;
  }

  async #run(trust: NonNullable<AgentParts["trust"]>): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      const good = await this.#refresh(trust, signal);
      if (signal.aborted) return;
      const trusted = trust.seen(this.#agent.state().trusted);
      if (trusted) await this.#agent.post({ type: "trusted", trusted });
      await this.#parts.clock.sleep(good ? REFRESH_MS : AGAIN_MS, signal).catch(() => undefined);
    }
  }

  async #refresh(trust: NonNullable<AgentParts["trust"]>, closing: AbortSignal): Promise<boolean> {
    const patience = new AbortController();
    const stop = (): void => patience.abort();
    const timer = setTimeout(stop, PATIENCE_MS);
    closing.addEventListener("abort", stop);
    try {
      await trust.refresh(this.#agent.state().trusted, patience.signal);
      this.#told = undefined;
      return true;
    } catch (error) {
      this.#tell(error);
      return false;
    } finally {
      clearTimeout(timer);
      closing.removeEventListener("abort", stop);
    }
  }

  /** Once for each way to fail; that there is no network is nothing to tell the fleet. */
  #tell(error: unknown): void {
    const code = isFailure(error) ? error.code : "trust/unreachable";
    this.#parts.log.debug("metadata not refreshed", { error });
    if (code === "trust/unreachable" || code === this.#told) return;
    this.#told = code;
    this.#agent.announce({ level: "warning", code, message: messageOf(error) });
  }
}
