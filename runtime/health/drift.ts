import type { DriftPolicy } from "../../device-profiles/device.ts";

/** What is done about drift, in this order: recalibrate; compute digitally; tell. */
export interface Drift {
  readonly at: "healthy" | "recalibrated" | "fallen-back" | "lost";
  /** Low readings in a row. */
  readonly low: number;
}

export type DriftAction = "recalibrate" | "fall-back";

export const noDrift: Drift = { at: "healthy", low: 0 };

/** One low reading may be noise. */
export const LOW_READINGS = 2;

const answers: Readonly<Record<Drift["at"], { readonly next: Drift["at"]; readonly action?: DriftAction }>> = {
  healthy: { next: "recalibrated", action: "recalibrate" },
  recalibrated: { next: "fallen-back", action: "fall-back" },
  "fallen-back": { next: "lost" },
  lost: { next: "lost" },
};

/**
 * One reading of the probes on the live path. Pure. Low enough for long enough calls for the next remedy; only a
 * reading at or above `healthyAbovePct` counts as cured, so a device in between neither flaps nor forgets. A digital
 * model has nowhere to fall back to.
 */
export function watchDrift(
  policy: DriftPolicy,
  drift: Drift,
  reading: { readonly agreementPct: number; readonly unit: "digital" | "accelerator" },
): { readonly drift: Drift; readonly action?: DriftAction | undefined } {
  if (reading.agreementPct >= policy.healthyAbovePct) return { drift: noDrift };
  if (reading.agreementPct >= policy.recalibrateBelowPct) return { drift: { ...drift, low: 0 } };
  if (drift.low + 1 < LOW_READINGS) return { drift: { ...drift, low: drift.low + 1 } };
  const { next, action } = answers[drift.at];
  if (action === "fall-back" && reading.unit === "digital") return { drift: { at: "lost", low: 0 } };
  return { drift: { at: next, low: 0 }, action };
}
