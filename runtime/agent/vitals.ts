import type { Drift } from "../health/drift.ts";
import { figure, type Health, type Reason, statusOf } from "../health/health.ts";
import type { ProbeReading } from "../health/probes.ts";
import type { LinkCounters } from "../plan/unit.ts";
import type { AgentParts } from "./ports.ts";
import type { Serving } from "./serving.ts";
import { type State, servedBy } from "./state.ts";

/** What the agent knows when it is asked how it is. */
export interface Symptoms {
  readonly boot: string;
  readonly beganMs: number;
  readonly state: State;
  /** Whether the state is on disk. */
  readonly saved: boolean;
  /** The newest metadata has expired. */
  readonly frozen: boolean;
  readonly drift: Drift;
  readonly reading: ProbeReading | undefined;
}

const MB = 2 ** 20;

/** Takes the device's pulse: the payload of `state`. */
export class Vitals {
  readonly #parts: AgentParts;
  readonly #serving: Serving;
  #before = { total: 0, atMs: Number.NaN, perSecond: 0 };

  constructor(parts: AgentParts, serving: Serving) {
    this.#parts = parts;
    this.#serving = serving;
  }

  async take(symptoms: Symptoms): Promise<Health> {
    const { clock, host, store } = this.#parts;
    const { state, reading, boot, beganMs } = symptoms;
    const { meter } = this.#serving;
    const model = servedBy(state);
    const now = clock.uptimeMs();
    const reasons = this.#reasons(symptoms);
    const free = await store.freeBytes().catch(() => undefined);
    return {
      v: 1,
      ts: clock.now(),
      boot,
      up: Math.round((now - beganMs) / 1000),
      status: statusOf(reasons),
      reasons,
      model: model?.name ?? null,
      version: model?.version ?? null,
      unit: model ? (this.#holdsTiles(model) ? "accelerator" : "digital") : null,
      inf_total: meter.total,
      inf_errors: meter.errors,
      inf_per_s: this.#rate(now),
      p50_ms: figure(meter.percentile(0.5)),
      p95_ms: figure(meter.percentile(0.95)),
      agreement_pct: figure(reading?.agreementPct),
      drift_residual: figure(reading?.residual),
      noise_floor: figure(reading?.noiseFloor),
      recal_age_s: ageSeconds(state.committedMs, clock.now()),
      link_ok: this.#parts.leases.linked ?? null,
      ...linkFigures(this.#parts.leases.counters),
      disk_free_mb: free === undefined ? null : Math.round(free / MB),
      update_state: state.phase.at,
      ...(await host.read()),
    };
  }

  #reasons({ state, saved, frozen, drift, reading }: Symptoms): Reason[] {
    const model = servedBy(state);
    const present: readonly (Reason | false)[] = [
      !saved && "state-not-saved",
      frozen && "updates-frozen",
      !model && "no-model",
      model !== undefined && !this.#serving.loaded && "not-serving",
      (reading?.nonFinite ?? 0) > 0 && "not-finite",
      drift.at === "lost" && "drift-not-cured",
      drift.at !== "lost" && (drift.at !== "healthy" || drift.low > 0) && "drifting",
      this.#parts.leases.linked === false && "link-lost",
      model !== undefined && this.#parts.leases.present && !this.#holdsTiles(model) && "computing-digitally",
    ];
    return present.filter((reason) => reason !== false);
  }

  #holdsTiles({ unit, derived }: { unit: string; derived: string }): boolean {
    return unit === "accelerator" && this.#parts.leases.holds(derived);
  }

  /** Over at least a second, so that reports in quick succession do not make it jump. */
  #rate(nowMs: number): number {
    const { total } = this.#serving.meter;
    const seconds = (nowMs - this.#before.atMs) / 1000;
    if (seconds >= 1 || Number.isNaN(seconds)) {
      const perSecond = seconds >= 1 ? (figure((total - this.#before.total) / seconds) ?? 0) : 0;
      this.#before = { total, atMs: nowMs, perSecond };
    }
    return this.#before.perSecond;
  }
}

/** Null where it is not known; a clock that was turned back makes nothing younger than new. */
function ageSeconds(sinceMs: number | undefined, nowMs: number): number | null {
  return sinceMs === undefined ? null : Math.max(0, Math.round((nowMs - sinceMs) / 1000));
}

function linkFigures(counters: LinkCounters | undefined): Pick<Health, `link_${LinkFigure}`> {
  return {
    link_rtt_ms: figure(counters?.roundTripMs),
    link_retransmits: counters?.retransmits ?? null,
    link_bad_frames: counters ? counters.crcErrors + counters.malformed : null,
    link_resets: counters?.resets ?? null,
    link_losses: counters?.losses ?? null,
  };
}

type LinkFigure = "rtt_ms" | "retransmits" | "bad_frames" | "resets" | "losses";
