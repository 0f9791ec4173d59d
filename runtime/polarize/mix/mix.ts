import { Failure } from "../../base/failure.ts";
import type { CriterionName } from "../../model/stages.ts";
import type { Budget, Mix, QuantizationPolicy } from "../../quantize/quantize.ts";
import type { Calibration } from "../polarize.ts";
import { type Allocation, frontier, within } from "./allocate.ts";
import { entropies } from "./entropy.ts";
import { type Latency, latencyOf } from "./latency.ts";
import { type LayerOption, sensitivities } from "./sensitivity.ts";

/** Ranks that are tried where low-rank paths count against the budget. */
const RANKS: readonly number[] = [0, 1, 2, 4, 8, 16, 32, 64];

/** What the formats are chosen by: the options of each layer, and what each costs the model. */
type Criterion = (
  calibration: Calibration,
  policy: QuantizationPolicy,
  ranks: readonly number[],
) => LayerOption[][] | Promise<LayerOption[][]>;

const criteria: Readonly<Record<CriterionName, Criterion>> = { alps: sensitivities, eagl: entropies };

export type Priced = LayerOption & { readonly cost: number };

/** What is counted against a budget. */
interface Pricing {
  /** That are offered, ascending. */
  readonly ranks: readonly number[];
  readonly available: number;
  /** A whole number. */
  costOf(option: LayerOption): number;
  text(cost: number): string;
}

/**
 * Formats, and where bytes or time are counted ranks, layer by layer so that the answers change least within the
 * policy's budget.
 * @param latency what times them, where the budget is one of time
 * @throws Failure plan/does-not-fit
 */
export async function chooseMix(
  calibration: Calibration,
  policy: QuantizationPolicy,
  latency: (calibration: Calibration) => Latency = latencyOf,
): Promise<Mix | undefined> {
  if (policy.budget === undefined) return undefined;
  const pricing = pricingOf(policy.budget, calibration, latency);
  const { available, text } = pricing;
  const all = await priced(calibration, policy, pricing);
  const best = within(all, available);
  if (best) return mixOf(best);
  const needed = all[0].cost;
  throw new Failure(
    "plan/does-not-fit",
    `${calibration.float.graph.name}: the layers need ${text(needed)}, the budget is ${text(available)}. ` +
      "Use a greater budget or a longer quantization.blockLength.",
    { needed, available },
  );
}

/** Every mix of formats and ranks that no other beats in both bytes and expected loss, the smallest first. */
export function mixes(calibration: Calibration, policy: QuantizationPolicy): Promise<Allocation<Priced>[]> {
  return priced(calibration, policy, pricingOf({ bytes: Number.POSITIVE_INFINITY }, calibration, latencyOf));
}

async function priced(
  calibration: Calibration,
  policy: QuantizationPolicy,
  { ranks, costOf }: Pricing,
): Promise<Allocation<Priced>[]> {
  const groups = await criteria[policy.criterion ?? "alps"](calibration, policy, ranks);
  return frontier(groups.map((options) => options.map((option) => ({ ...option, cost: costOf(option) }))));
}

function pricingOf(budget: Budget, calibration: Calibration, latencyOf: (of: Calibration) => Latency): Pricing {
  const { rank } = calibration;
  const ranks = [...RANKS.filter((lower) => lower < rank), rank];
  if ("bytes" in budget) {
    return { ranks, available: budget.bytes, costOf: ({ bytes }) => bytes, text: (cost) => `${cost} bytes` };
  }
  if ("microseconds" in budget) {
    const { rest, of } = latencyOf(calibration);
    return {
      ranks,
      available: Math.round(1000 * budget.microseconds) - rest,
      costOf: (option) => of(option.layer, option),
      text: (cost) => `${((cost + rest) / 1000).toFixed(1)} µs`,
    };
  }
  const weights = [...calibration.float.weights.values()].reduce((sum, layer) => sum + layer.weights.length, 0);
  return {
    ranks: [rank],
    available: Math.round(budget.bitsPerWeight * weights),
    costOf: ({ weightBits }) => weightBits,
    text: (cost) => `${(cost / weights).toFixed(2)} bits each`,
  };
}

export function mixOf({ chosen }: Allocation<Priced>): Mix {
  return new Map(chosen.map(({ layer, format, blockLength, rank }) => [layer, { format, blockLength, rank }]));
}
