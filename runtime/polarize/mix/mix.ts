import { Failure } from "../../base/failure.ts";
import type { CriterionName } from "../../model/stages.ts";
import type { Mix, QuantizationPolicy } from "../../quantize/quantize.ts";
import type { Calibration } from "../polarize.ts";
import { type Allocation, frontier, within } from "./allocate.ts";
import { entropies } from "./entropy.ts";
import { type Latency, latencyOf } from "./latency.ts";
import { type Pricing, pricingOf } from "./pricing.ts";
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

/**
 * Formats, and where low-rank paths count ranks, layer by layer so that the answers change least within the
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
  const { budget, scale, rest, text } = pricing;
  const all = await priced(calibration, policy, pricing);
  const best = within(all, Math.round(budget * scale) - rest);
  if (best) return mixOf(best);
  const needed = (all[0].cost + rest) / scale;
  throw new Failure(
    "plan/does-not-fit",
    `${calibration.float.graph.name}: the layers need ${text(needed)}, the budget is ${text(budget)}. ` +
      "Use a greater budget or a longer quantization.blockLength.",
    { needed, available: budget },
  );
}

/** Every mix of formats and ranks that no other beats in both bytes and expected loss, the smallest first. */
export function mixes(calibration: Calibration, policy: QuantizationPolicy): Promise<Allocation<Priced>[]> {
  return priced(calibration, policy, pricingOf({ bytes: Number.POSITIVE_INFINITY }, calibration, latencyOf));
}

async function priced(
  calibration: Calibration,
  policy: QuantizationPolicy,
  { ranked, costOf }: Pricing,
): Promise<Allocation<Priced>[]> {
  const { rank } = calibration;
  const ranks = ranked ? [...RANKS.filter((lower) => lower < rank), rank] : [rank];
  const groups = await criteria[policy.criterion ?? "alps"](calibration, policy, ranks);
  return frontier(groups.map((options) => options.map((option) => ({ ...option, cost: costOf(option) }))));
}

export function mixOf({ chosen }: Allocation<Priced>): Mix {
  return new Map(
    chosen.map(({ layer, format, blockLength, rank, pruned }) => [layer, { format, blockLength, rank, pruned }]),
  );
}
