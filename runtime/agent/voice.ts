import type { CalibrationEntry, Fleet, FleetEvent, History, Progress } from "../fleet/topics.ts";
import type { Health } from "../health/health.ts";
import type { LayerFit } from "../model/layer-fit.ts";
import type { StepTaken } from "../polarize/recovery.ts";
import { Diary } from "./diary.ts";
import type { Fit } from "./effects.ts";
import type { Announcement } from "./events.ts";
import type { AgentParts } from "./ports.ts";
import { journalEntry, reportOf } from "./report.ts";
import type { State } from "./state.ts";

/** A download has thousands of chunks; nobody wants to hear of each. */
const PROGRESS_EVERY_MS = 250;
/** Cards wear: so much of the diary may be lost with the process. */
const KEEP_EVERY_MS = 10 * 60 * 1000;

/** All that the agent says, to the fleet and to the log. */
export class Voice {
  readonly #parts: AgentParts;
  readonly #fleet: Fleet;
  readonly #boot: string;
  readonly #diary: Diary;
  #fit: { readonly derived: string; readonly layers: readonly LayerFit[] } | undefined;
  #events = 0;
  #stage: string | undefined;
  #toldMs = 0;
  #keptMs: number;
  #keeping: Promise<void> = Promise.resolve();

  /** @param past what the process before remembered */
  constructor(parts: AgentParts, fleet: Fleet, boot: string, past: History | undefined) {
    this.#parts = parts;
    this.#fleet = fleet;
    this.#boot = boot;
    this.#diary = new Diary(boot, parts.profile.drift, past);
    this.#keptMs = parts.clock.uptimeMs();
  }

  introduce(): void {
    void this.#fleet.publish("info", { v: 1, boot: this.#boot, ...this.#parts.info });
    this.#recount();
  }

  report(state: State, progress?: Progress): void {
    this.#stage = progress?.stage;
    void this.#fleet.publish("job/reported", reportOf(state, progress));
  }

  /** A report, unless the same stage was told of a moment ago. */
  progress(state: State, progress: Progress): void {
    const now = this.#parts.clock.uptimeMs();
    if (progress.stage === this.#stage && now - this.#toldMs < PROGRESS_EVERY_MS) return;
    this.#toldMs = now;
    this.report(state, progress);
  }

  async health(health: Health): Promise<void> {
    await this.#fleet.publish("state", health);
  }

  /** The probes were asked. */
  checked(agreementPct: number): void {
    this.#diary.reading(this.#parts.clock.now(), agreementPct);
    this.#recount();
  }

  /** How a prepared model came out: what was done at once, its layers once it is committed. */
  prepared(derived: string, { layers, steps = [], returned = [] }: Fit): void {
    this.#fit = { derived, layers };
    for (const taken of steps) this.announce({ level: "info", code: "upkeep/refit", message: textOf(taken) });
    if (returned.length === 0) return;
    const message = `the accelerator gets them too wrong, so they are computed digitally: ${returned.join(", ")}`;
    this.announce({ level: "warning", code: "upkeep/returned", message });
  }

  committed(derived: string, entry: Omit<CalibrationEntry, "ts">): void {
    this.#diary.calibration({ ts: this.#parts.clock.now(), ...entry });
    if (this.#fit?.derived === derived) void this.#fleet.publish("layers", { v: 1, ...this.#fit });
    this.#recount();
  }

  announce({ level, code, message }: Announcement): void {
    const { clock, log } = this.#parts;
    log[level === "warning" ? "warn" : level](message, { code });
    const event: FleetEvent = { n: ++this.#events, ts: clock.now(), boot: this.#boot, level, code, msg: message };
    void this.#fleet.publish("event", event);
    this.#diary.event(event);
    this.#recount();
  }

  #recount(): void {
    void this.#fleet.publish("history", this.#diary.history);
    if (this.#parts.clock.uptimeMs() - this.#keptMs >= KEEP_EVERY_MS) void this.#keep();
  }

  #keep(): Promise<void> {
    const { clock, store, log } = this.#parts;
    this.#keptMs = clock.uptimeMs();
    this.#keeping = this.#keeping
      .then(() => store.diary.save(this.#diary.history))
      .catch((error: unknown) => log.warn("the diary is not kept", { error }));
    return this.#keeping;
  }

  /** For whoever looks at the disk afterwards; nothing waits for it. */
  record(before: State, after: State): void {
    const entry = journalEntry(before, after);
    const { clock, store, log } = this.#parts;
    if (!entry) return;
    store.journal
      .note({ ts: clock.now(), boot: this.#boot, ...entry })
      .catch((error: unknown) => log.debug("journal not written", { error }));
  }

  async end(): Promise<void> {
    await this.#keep();
    await this.#fleet.close();
  }
}

/** For the operator: what it was for, and what it took. */
function textOf({ step, samples, products, tiles, seconds, beforePct, afterPct, accepted }: StepTaken): string {
  const effect = `agreement ${beforePct.toFixed(1)} % -> ${afterPct.toFixed(1)} %, ${accepted ? "kept" : "dropped"}`;
  return `${step}: ${effect}; ${samples} samples, ${products} products, ${tiles} tiles programmed, ${seconds.toFixed(1)} s`;
}
