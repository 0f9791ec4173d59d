import type { State } from "../../runtime/agent/state.ts";
import { servedBy } from "../../runtime/agent/state.ts";
import { figure, type Health, type Reason, statusOf } from "../../runtime/health/health.ts";

/** One device in so many is not well. */
const ILL_EVERY = 40;

/** Health that is none: agreement wanders, and a few devices drift. */
export class SimulatedHealth {
  readonly #boot: string;
  readonly #random: () => number;
  readonly #ill: boolean;
  readonly #beganMs = Date.now();
  readonly #perSecond: number;
  #agreementPct: number;

  constructor(boot: string, random: () => number) {
    this.#boot = boot;
    this.#random = random;
    this.#ill = random() < 1 / ILL_EVERY;
    this.#perSecond = 1 + 9 * random();
    this.#agreementPct = this.#ill ? 91 : 96 + 4 * random();
  }

  take(state: State): Health {
    const model = servedBy(state);
    const [low, high] = this.#ill ? [82, 93] : [95, 100];
    const next = this.#agreementPct + 2 * this.#random() - 1;
    this.#agreementPct = Math.min(high, Math.max(low, next));
    const reasons: Reason[] = [...(model ? [] : ["no-model" as const]), ...(this.#ill ? ["drifting" as const] : [])];
    const up = Math.round((Date.now() - this.#beganMs) / 1000);
    return {
      v: 1,
      ts: Date.now(),
      boot: this.#boot,
      up,
      status: statusOf(reasons),
      reasons,
      model: model?.name ?? null,
      version: model?.version ?? null,
      unit: model?.unit ?? null,
      inf_total: Math.round(up * this.#perSecond),
      inf_errors: 0,
      inf_per_s: figure(this.#perSecond) ?? 0,
      p50_ms: 0.4,
      p95_ms: 0.6,
      agreement_pct: model ? figure(this.#agreementPct) : null,
      drift_residual: null,
      noise_floor: null,
      recal_age_s: null,
      link_ok: null,
      link_rtt_ms: null,
      link_retransmits: null,
      link_bad_frames: null,
      link_resets: null,
      link_losses: null,
      disk_free_mb: null,
      update_state: state.phase.at,
      rss_mb: 60,
      cpu_pct: null,
      temp_c: null,
    };
  }
}
