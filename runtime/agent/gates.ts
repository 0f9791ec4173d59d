import type { Trial } from "../fleet/jobs.ts";
import type { ProbeReading } from "../health/probes.ts";
import type { ServingRecord } from "./serving.ts";
import type { Goal } from "./state.ts";

/** What is wrong with a model that gives such answers to its probes; undefined if nothing is. */
export function faultOf(reading: ProbeReading, goal: Goal, baselinePct: number | undefined): string | undefined {
  const { accept } = goal.release;
  const least = leastAgreement(goal, baselinePct);
  if (reading.nonFinite > 0) return `${reading.nonFinite} answers are not finite`;
  if (reading.agreementPct < least) {
    return `expected at least ${least.toFixed(1)} % agreement with the float model, found ${reading.agreementPct.toFixed(1)} %`;
  }
  return tooMuch("a p95 latency", reading.p95Ms, accept.p95Ms, "ms");
}

/** A new model must be as good as its release asks; upkeep must only not make worse what serves anyway. */
function leastAgreement({ action, release }: Goal, baselinePct: number | undefined): number {
  const { minAgreementPct } = release.accept;
  const upkeep = action === "recalibrate" || action === "fall-back";
  return upkeep ? Math.min(minAgreementPct, baselinePct ?? minAgreementPct) : minAgreementPct;
}

/** What is wrong with how a new model serves: its own answers and everybody's questions, since its trial began. */
export function trialFault(trial: Trial, reading: ProbeReading, record: ServingRecord): string | undefined {
  const errorPct = record.inferences > 0 ? (100 * record.errors) / record.inferences : 0;
  return (
    tooMuch("inferences that fail", errorPct, trial.maxErrorPct, "%") ??
    tooMuch("a p95 latency", record.p95Ms ?? 0, trial.p95Ms, "ms") ??
    tooMuch("a residual", reading.residual, trial.maxResidual, "of the float answers")
  );
}

function tooMuch(what: string, found: number, most: number | undefined, unit: string): string | undefined {
  if (most === undefined || found <= most) return undefined;
  return `expected ${what} of at most ${most} ${unit}, found ${Number(found.toPrecision(3))} ${unit}`;
}
