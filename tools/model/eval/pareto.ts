import type { PolarizedModel } from "../../../runtime/model/stages.ts";
import { weightBytesOf } from "../../../runtime/plan/weight-bytes.ts";
import { within } from "../../../runtime/polarize/mix/allocate.ts";
import { mixes, mixOf } from "../../../runtime/polarize/mix/mix.ts";
import { type Calibration, polarize } from "../../../runtime/polarize/polarize.ts";
import type { Report } from "../../../runtime/polarize/prepare.ts";
import { type QuantizationPolicy, quantizeModel } from "../../../runtime/quantize/quantize.ts";
import { precisionOf } from "../precision.ts";
import type { Score } from "./measure.ts";
import type { ParetoPoint } from "./report.ts";

/** Between the smallest mix and the one that loses least. */
const POINTS = 6;

/**
 * What each size buys: mixes of formats and ranks that no other beats in both bytes and expected loss, measured.
 * Sensitivities are taken once for all of them.
 */
export async function paretoOf(
  basis: Calibration,
  policy: QuantizationPolicy,
  measure: (model: PolarizedModel) => Promise<Score>,
  report: Report,
): Promise<ParetoPoint[]> {
  const onLayer: Calibration["onLayer"] = (_, done, of) => report({ stage: "choose", done, of });
  const all = await mixes({ ...basis, onLayer }, policy);
  const [least, most] = [all[0].cost, all[all.length - 1].cost];
  const points: ParetoPoint[] = [];
  for (let i = 0; i < POINTS; i++) {
    report({ stage: "measure", done: i, of: POINTS });
    const mix = within(all, least * (most / least) ** (i / (POINTS - 1)) + 0.5);
    if (!mix) continue;
    const chosen = mixOf(mix);
    const quantized = quantizeModel(basis.float, basis.observed, policy, chosen);
    const model = polarize(quantized, { ...basis, mix: chosen, onLayer: undefined });
    const { bitsPerWeight } = precisionOf(model);
    points.push({ bitsPerWeight, weightBytes: weightBytesOf(model), score: await measure(model) });
  }
  return points;
}
