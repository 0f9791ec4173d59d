import type { Reply } from "../fleet/topics.ts";
import { type Drift, type DriftAction, LOW_READINGS, noDrift, watchDrift } from "../health/drift.ts";
import type { ProbeReading } from "../health/probes.ts";
import { continuityPct, measure } from "./effects.ts";
import type { Event } from "./events.ts";
import { faultOf, trialFault } from "./gates.ts";
import type { AgentParts } from "./ports.ts";
import type { Loaded, Serving } from "./serving.ts";
import type { Phase, State } from "./state.ts";

/** What the watch asks of the agent. */
export interface WatchAgent {
  state(): State;
  post(event: Event): Promise<void>;
  /** Never the same twice. */
  upkeepId(): string;
  /** The probes were asked; undefined if nothing serves. */
  checked(reading: ProbeReading | undefined): void;
}

type TrialPhase = Extract<Phase, { at: "TRIAL" }>;

/** Checks on trial are this far apart at least. */
const SHORTEST_MS = 50;
/** How often a model without tiles asks for them again, while the accelerator is there. */
const REPLACE_EVERY_MS = 10 * 60 * 1000;

/** Asks the serving model its probes from time to time, and judges trials and drift by the answers. */
export class Watch {
  readonly #parts: AgentParts;
  readonly #serving: Serving;
  readonly #agent: WatchAgent;
  readonly #closing = new AbortController();
  #wake = new AbortController();
  #done: Promise<void> = Promise.resolve();
  #urgent = false;
  #replacedMs = Number.NEGATIVE_INFINITY;
  #drift: Drift = noDrift;
  #reading: { readonly of: Loaded | undefined; readonly reading: ProbeReading | undefined } | undefined;

  constructor(parts: AgentParts, serving: Serving, agent: WatchAgent) {
    this.#parts = parts;
    this.#serving = serving;
    this.#agent = agent;
  }

  get drift(): Drift {
    return this.#drift;
  }

  /** The latest one. */
  get reading(): ProbeReading | undefined {
    return this.#reading?.of === this.#serving.loaded ? this.#reading?.reading : undefined;
  }

  begin(): void {
    this.#done = this.#run();
  }

  async end(): Promise<void> {
    this.#closing.abort();
    this.wake();
    await this.#done;
  }

  /** The phase has changed, and with it the time until the next check. */
  wake(): void {
    this.#wake.abort();
    this.#wake = new AbortController();
  }

  /**
   * The accelerator is back: perhaps its tiles err as before, perhaps otherwise, perhaps they are empty, perhaps it is
   * another chip. The probes tell at once, and one low reading is enough.
   */
  linkRestored(): void {
    this.#replacedMs = Number.NEGATIVE_INFINITY;
    if (this.#drift.at === "healthy") this.#drift = { at: "healthy", low: LOW_READINGS - 1 };
    this.#urgent = true;
    this.wake();
  }

  async recalibrate(): Promise<Reply> {
    const { active, phase } = this.#agent.state();
    if (!active) return { ok: false, code: "job/impossible", message: "recalibrate: no model is installed" };
    if (phase.at !== "IDLE") return { ok: false, code: "job/impossible", message: `recalibrate: busy, ${phase.at}` };
    return { ok: true, result: { id: await this.#upkeep("recalibrate", "a command asked for it") } };
  }

  async #run(): Promise<void> {
    const { clock, log } = this.#parts;
    const { signal } = this.#closing;
    for (let due = true; !signal.aborted; ) {
      if (due || this.#urgent) await this.#check().catch((error: unknown) => log.error("the check failed", { error }));
      if (signal.aborted) return;
      due = await clock.sleep(this.#pauseMs(), this.#wake.signal).then(
        () => true,
        () => false,
      );
    }
  }

  #pauseMs(): number {
    const { phase } = this.#agent.state();
    if (this.#urgent && (phase.at === "IDLE" || phase.at === "TRIAL")) return 0;
    const checkMs = this.#parts.profile.drift.checkSeconds * 1000;
    if (phase.at !== "TRIAL") return checkMs;
    const { seconds, passes } = phase.candidate.trial;
    return Math.min(checkMs, Math.max(SHORTEST_MS, (1000 * seconds) / passes));
  }

  async #check(): Promise<void> {
    const { phase } = this.#agent.state();
    if (phase.at !== "IDLE" && phase.at !== "TRIAL") return;
    this.#urgent = false;
    const { loaded } = this.#serving;
    const reading = await measure(this.#serving, this.#parts.clock.uptimeMs);
    if (this.#agent.state().phase !== phase) return;
    this.#reading = { of: loaded, reading };
    if (phase.at === "TRIAL") await this.#judge(phase, reading);
    else if (reading) await this.#compare(reading);
    this.#agent.checked(reading);
  }

  async #judge(phase: TrialPhase, reading: ProbeReading | undefined): Promise<void> {
    const reason = reading ? await this.#faultOf(phase, reading) : "it does not serve";
    const { seconds, inferences } = this.#serving.record;
    const atMs = this.#parts.clock.now();
    await this.#agent.post({ type: "health", ok: reason === undefined, reason, seconds, inferences, atMs });
    const ended = this.#agent.state().phase.at !== "TRIAL";
    const cured = (reading?.agreementPct ?? 0) >= this.#parts.profile.drift.healthyAbovePct;
    if (ended && (cured || phase.goal.seq !== undefined)) this.#drift = noDrift;
  }

  async #faultOf(phase: TrialPhase, reading: ProbeReading): Promise<string | undefined> {
    const { goal, baselinePct, candidate } = phase;
    const own = faultOf(reading, goal, baselinePct) ?? trialFault(candidate.trial, reading, this.#serving.record);
    return own ?? this.#discontinuity(phase);
  }

  async #discontinuity({ goal, candidate }: TrialPhase): Promise<string | undefined> {
    const least = candidate.trial.minContinuityPct;
    if (goal.action !== "install" || least === undefined) return undefined;
    const found = await continuityPct(this.#parts, this.#serving, this.#agent.state().active);
    if (found === undefined || found >= least) return undefined;
    const expected = `expected at least ${least.toFixed(1)} % of the answers of the model before`;
    return `${expected}, found ${found.toFixed(1)} %`;
  }

  async #compare({ agreementPct }: ProbeReading): Promise<void> {
    const { active } = this.#agent.state();
    if (!active) return;
    if (this.#wantsTiles(active)) {
      await this.#upkeep("recalibrate", "the accelerator is there, and its tiles hold nothing of this model");
      return;
    }
    const unit = this.#parts.leases.holds(active.derived) ? active.unit : "digital";
    const { drift, action } = watchDrift(this.#parts.profile.drift, this.#drift, { agreementPct, unit });
    this.#drift = drift;
    if (action) await this.#upkeep(action, this.#cause(agreementPct));
  }

  #wantsTiles({ unit, derived }: NonNullable<State["active"]>): boolean {
    const { leases, clock } = this.#parts;
    if (unit === "digital" || !leases.present || leases.linked === false || leases.holds(derived)) return false;
    if (clock.uptimeMs() - this.#replacedMs < REPLACE_EVERY_MS) return false;
    this.#replacedMs = clock.uptimeMs();
    return true;
  }

  #cause(agreementPct: number): string {
    const { recalibrateBelowPct } = this.#parts.profile.drift;
    return `agreement ${agreementPct.toFixed(1)} % with the float model in ${LOW_READINGS} checks, below ${recalibrateBelowPct} %`;
  }

  async #upkeep(action: DriftAction, why: string): Promise<string> {
    const id = this.#agent.upkeepId();
    const unit = action === "recalibrate" && this.#parts.leases.present ? "accelerator" : "digital";
    await this.#agent.post({ type: "upkeep", action, id, unit, why });
    return id;
  }
}
