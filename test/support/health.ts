import type { Health } from "../../runtime/health/health.ts";

/** A device that is well. */
export const well: Health = {
  ...{ v: 1, ts: 0, boot: "b", up: 1, status: "ok", reasons: [], model: "sums", version: "1.0.0", unit: "digital" },
  ...{ inf_total: 0, inf_errors: 0, inf_per_s: 0, p50_ms: null, p95_ms: null, agreement_pct: null },
  ...{ drift_residual: null, noise_floor: null, recal_age_s: null, link_ok: null, disk_free_mb: 100 },
  ...{ link_rtt_ms: null, link_retransmits: null, link_bad_frames: null, link_resets: null, link_losses: null },
  ...{ update_state: "IDLE", rss_mb: 1, cpu_pct: null, temp_c: null },
};
