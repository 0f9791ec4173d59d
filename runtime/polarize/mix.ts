import { Failure } from "../base/failure.ts";
import type { CriterionName } from "../model/stages.ts";
import type { Budget, Mix, QuantizationPolicy } from "../quantize/quantize.ts";
import { type Allocation, frontier, within } from "./allocate.ts";
import { entropies } from "./entropy.ts";
import type { Calibration } from "./polarize.ts";
import { type LayerOption, sensitivities } from "./sensitivity.ts";

/** Ranks that are tried where low-rank factors count against the budget. */
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
 * Formats, and where bytes are counted ranks, layer by layer so that the answers change least within the policy's
 * budget.
 * @throws Failure plan/does-not-fit
 */
export async function chooseMix(calibration: Calibration, policy: QuantizationPolicy): Promise<Mix | undefined> {
  const { budget } = policy;
  if (budget === undefined) return undefined;
  const weights = [...calibration.float.weights.values()].reduce((sum, layer) => sum + layer.weights.length, 0);
  const available = "bytes" in budget ? budget.bytes : Math.round(budget.bitsPerWeight * weights);
  const all = await mixes(calibration, policy, "bytes" in budget);
  const best = within(all, available);
  if (best) return mixOf(best);
  const least = all[0].cost;
  throw new Failure(
    "plan/does-not-fit",
    `${calibration.float.graph.name}: the weights need ${priceText(budget, least, weights)}, the budget is ` +
      `${priceText(budget, available, weights)}. Use a greater budget or a longer quantization.blockLength.`,
    { needed: least, available },
  );
}

/**
 * Every mix that no other beats in both cost and expected loss, the cheapest first.
 * @param counted whether the cost is bytes of all that is stored, with ranks to choose from, or bits of weights
 */
export async function mixes(
  calibration: Calibration,
  policy: QuantizationPolicy,
  counted: boolean,
): Promise<Allocation<Priced>[]> {
  const ranks = counted ? [...RANKS.filter((rank) => rank < calibration.rank), calibration.rank] : [calibration.rank];
  const groups = await criteria[policy.criterion ?? "alps"](calibration, policy, ranks);
  return frontier(
    groups.map((options) => options.map((option) => ({ ...option, cost: counted ? option.bytes : option.weightBits }))),
  );
}

export function mixOf({ chosen }: Allocation<Priced>): Mix {
  return new Map(chosen.map(({ layer, format, blockLength, rank }) => [layer, { format, blockLength, rank }]));
}

function priceText(budget: Budget, cost: number, weights: number): string {
  return "bytes" in budget ? `${cost} bytes` : `${(cost / weights).toFixed(2)} bits each`;
}
