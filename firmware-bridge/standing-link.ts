import type { Clock } from "../runtime/base/clock.ts";
import { Failure, isFailure } from "../runtime/base/failure.ts";
import type { LinkCounters, LinkedAccelerator, LinkListener, MatmulUnit, UnitLayer } from "../runtime/plan/unit.ts";
import type { OpenAccelerator } from "./open.ts";

export interface StandingLinkParts {
  /** For messages. */
  readonly name: string;
  readonly open: () => Promise<OpenAccelerator>;
  readonly isPresent: () => Promise<boolean>;
  readonly clock: Clock;
  /** Told of each attempt that failed. */
  readonly onFault: (error: unknown) => void;
}

/** How often is looked for the device while it is not there: a look at one path costs nothing. */
const LOOK_EVERY_MS = 1000;
/** After a failed attempt; doubled up to the longest, which leaves room in 3 s for a greeting and the programming. */
const PAUSE = { firstMs: 250, longestMs: 2000 } as const;

/**
 * A link that comes back by itself. It is opened at the first placing; when it is lost, or that failed, it is looked
 * for until it is there again; what was placed last is programmed again unless the tiles still hold it.
 */
export class StandingLink implements LinkedAccelerator {
  readonly #parts: StandingLinkParts;
  readonly #closing = new AbortController();
  readonly #listeners = new Set<LinkListener>();
  #opening: Promise<OpenAccelerator> | undefined;
  #opened: OpenAccelerator | undefined;
  #linked: boolean | undefined;
  #restoring: Promise<void> | undefined;

  constructor(parts: StandingLinkParts) {
    this.#parts = parts;
  }

  get linked(): boolean | undefined {
    return this.#linked;
  }

  get counters(): LinkCounters | undefined {
    return this.#opened?.session.health;
  }

  listen(listener: LinkListener): void {
    this.#listeners.add(listener);
  }

  async place(layers: readonly UnitLayer[]): Promise<MatmulUnit> {
    if (this.#linked === false) throw new Failure("bridge/disconnected", `there is no link to ${this.#parts.name}`);
    try {
      const opened = await this.#open();
      this.#linked = true;
      return await opened.place(layers);
    } catch (error) {
      if (this.#linked === undefined) this.#lost();
      throw error;
    }
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#restoring;
    await this.#opening?.then((opened) => opened.close()).catch(() => undefined);
  }

  #open(): Promise<OpenAccelerator> {
    this.#opening ??= this.#parts.open().then(
      (opened) => {
        this.#opened = opened;
        opened.session.listen((event) => (event === "lost" ? this.#lost() : this.#restore()));
        return opened;
      },
      (error: unknown) => {
        this.#opening = undefined;
        throw error;
      },
    );
    return this.#opening;
  }

  #lost(): void {
    if (this.#closing.signal.aborted) return;
    this.#linked = false;
    this.#tell("lost", `the link to the accelerator at ${this.#parts.name} is lost; products are computed digitally`);
    this.#restore();
  }

  #restore(): void {
    this.#restoring ??= this.#seek().finally(() => {
      this.#restoring = undefined;
    });
  }

  async #seek(): Promise<void> {
    const { clock, isPresent } = this.#parts;
    const { signal } = this.#closing;
    for (let pauseMs: number = PAUSE.firstMs; !signal.aborted; ) {
      const present = await isPresent();
      if (present && (await this.#recover())) return;
      await clock.sleep(present ? pauseMs : LOOK_EVERY_MS, signal).catch(() => undefined);
      pauseMs = present ? Math.min(2 * pauseMs, PAUSE.longestMs) : PAUSE.firstMs;
    }
  }

  /** Whether the link stands now, whatever is at its end. */
  async #recover(): Promise<boolean> {
    const { name } = this.#parts;
    try {
      await (await this.#open()).recover();
      this.#linked = true;
      this.#tell("restored", `the accelerator at ${name} is back`);
    } catch (error) {
      this.#parts.onFault(error);
      if (!isFailure(error, "bridge/wrong-device")) return false;
      this.#linked = true;
      this.#tell("restored", `another accelerator is at ${name} than before`);
    }
    return true;
  }

  #tell(event: "lost" | "restored", message: string): void {
    for (const listener of this.#listeners) listener(event, message);
  }
}
