import { bytes, type Column, percent, table, thousands } from "../../cli/table.ts";
import { precisionTable } from "../precision.ts";
import type { Score } from "./measure.ts";
import type {
  AnalogReport,
  EnergyReport,
  EvalReport,
  GatedScore,
  GateReport,
  LinkCost,
  ParetoPoint,
  RecoveryStep,
  TileGateReport,
  TileGateScore,
} from "./report.ts";

export function evalText(report: EvalReport): string {
  const { analog, surrogate } = report;
  const float: Score = { ...report.float, agreement: 1, divergence: 0, outputError: 0 };
  // A budget gives layers formats of their own.
  const weights = report.budget === null ? report.format : "mix";
  const { fit, distill } = report.calibrationParts;
  const rows: [string, Score][] = [
    ["float", float],
    [`${weights} quantized`, report.quantized],
    ...report.compared.map(({ name, score, seconds }): [string, Score] => [`  ${name}${took(seconds)}`, score]),
    [`${weights} corrected${report.compared.length > 0 ? took(fit + distill) : ""}`, report.corrected],
  ];
  if (report.draws.length > 1) rows.push([`worst of ${report.draws.length} draws`, worst(report.draws)]);
  if (analog) rows.push(["analog", analog.quantized], ["analog corrected", analog.corrected]);
  if (analog && analog.devices.length > 1)
    rows.push([`worst of ${analog.devices.length} devices`, worst(analog.devices)]);
  return [
    `${report.model} on ${report.profile}: ${report.calibrationSamples} samples calibrate, ${report.measured} are measured`,
    "",
    table(
      [
        { title: "" },
        { title: "accuracy", align: "right" },
        { title: "agreement", align: "right" },
        { title: "divergence", align: "right" },
        { title: "output error", align: "right" },
      ],
      rows.map(([name, { accuracy, agreement, divergence, outputError }]) => [
        name,
        percent(accuracy),
        percent(agreement),
        divergence === null ? "-" : divergence.toFixed(4),
        percent(outputError),
      ]),
    ),
    "",
    precisionTable(report.layers),
    "",
    ...(report.gates ? [gateTable(report.gates), ""] : []),
    ...(report.tileGates ? [tileGateTable(report.tileGates), ""] : []),
    ...(report.pareto ? [paretoTable(report.pareto), ""] : []),
    ...(analog ? analogLines(analog) : []),
    `weights      ${bytes(report.weightBytes)} (${report.bitsPerWeight.toFixed(2)} bits per weight, scales included)`,
    `activations  ${bytes(report.arenaBytes)}`,
    `surrogates   ${thousands(surrogate.params)} parameters: ` +
      `+${surrogate.extraParamsPct.toFixed(1)} % parameters, +${surrogate.extraMacsPct.toFixed(1)} % MACs`,
    `calibration  ${calibrationText(report)}`,
    `inference    ${inferenceText(report)}`,
    ...(report.energy ? [`energy       ${energyText(report.energy)}`] : []),
    `operations   ${thousands(report.bitOperations)} products of single bits`,
  ].join("\n");
}

function analogLines({ layers, returned, placed, calibrated, recovery, accumulators, energy }: AnalogReport): string[] {
  if (layers === 0) return ["tiles        hold no layer"];
  const { linkSeconds, fitSeconds } = calibrated;
  const share = linkSeconds / (linkSeconds + fitSeconds);
  return [
    ...(returned.length > 0 ? [`computed digitally, beyond recovery: ${returned.join(", ")}`, ""] : []),
    ...(recovery.length > 0 ? [recoveryTable(recovery), ""] : []),
    `tiles        placed: ${linkText(placed)} on the link, ${placed.seconds.toFixed(1)} s here; ` +
      `calibrated: ${linkText(calibrated)}, ${calibrated.seconds.toFixed(1)} s`,
    `time         ${linkSeconds.toFixed(1)} s of a calibration on the link, ${fitSeconds.toFixed(1)} s for the fit: ` +
      `dominated by the ${share > 0.5 ? "link" : "fit"}, ${percent(Math.max(share, 1 - share))}`,
    accumulatorText(accumulators),
    ...(energy ? [`on tiles     ${energyText(energy)}`] : []),
  ];
}

function energyText(energy: EnergyReport): string {
  const { microjoules, mainMicrojoules, surrogateMicrojoules, bytesMicrojoules, teraOpsPerWatt } = energy;
  return (
    `${microjoules.toFixed(2)} µJ, modelled: ${mainMicrojoules.toFixed(2)} main path, ` +
    `${surrogateMicrojoules.toFixed(2)} surrogates, ${bytesMicrojoules.toFixed(2)} to move weights; ` +
    `effective ${teraOpsPerWatt.toPrecision(3)} TOPS/W`
  );
}

/** What was proved of the tiles' sums. */
function accumulatorText({ bits, layers }: AnalogReport["accumulators"]): string {
  const widest = layers.reduce((most, layer) => (layer.bits > most.bits ? layer : most));
  const split = layers.filter(({ segments, wholeSegments }) => segments > wholeSegments);
  const cuts = split.map(({ layer, segments, wholeSegments }) => `${layer} into ${segments} (${wholeSegments})`);
  return (
    `accumulators ${bits} bits, sums take ${widest.bits} at most (${widest.layer}): none overflows; ` +
    `split for that: ${cuts.length > 0 ? cuts.join(", ") : "none"}`
  );
}

/** With the least agreement. */
function worst(scores: readonly Score[]): Score {
  return scores.reduce((least, score) => (score.agreement < least.agreement ? score : least));
}

function calibrationText({ calibrationSeconds, calibrationParts }: EvalReport): string {
  const { observe, choose, quantize, fit, distill } = calibrationParts;
  const text = (seconds: number): string => `${seconds.toFixed(2)} s`;
  const choosing = choose < 0.01 ? "" : `, ${text(choose)} to choose formats`;
  const distilling = distill === 0 ? "" : `, ${text(distill)} to distill`;
  return (
    `${text(calibrationSeconds)}: ${text(observe)} for the float model's answers${choosing}, ` +
    `${text(quantize)} to quantize, ${text(fit)} to fit${distilling}`
  );
}

/** Against a budget of time, which was kept by adding up layers that were timed one by one. */
function inferenceText({ microsecondsPerInference: took, budget }: EvalReport): string {
  const text = `${took.toFixed(1)} µs on this machine`;
  if (!budget || !("microseconds" in budget)) return text;
  const { microseconds } = budget;
  return took <= microseconds
    ? `${text}: the budget of ${microseconds} µs is kept`
    : `${text}: the budget of ${microseconds} µs is missed by ${percent(took / microseconds - 1)}`;
}

function took(seconds: number): string {
  return `, ${seconds.toFixed(1)} s`;
}

function gateTable({ highBits, safe, budget }: GateReport): string {
  const rows = safe.layers.map(({ layer, sparsity, vectorSparsity }, i) => [
    layer,
    percent(sparsity),
    percent(vectorSparsity),
    percent(budget.layers[i].sparsity),
    percent(budget.layers[i].vectorSparsity),
  ]);
  const right = (title: string): Column => ({ title, align: "right" });
  const saved = ({ savedPct, savedByVectorsPct, score }: GatedScore): string =>
    `saves ${savedPct.toFixed(1)} % of the products of single bits (${savedByVectorsPct.toFixed(1)} % by whole vectors), ` +
    `agreement ${percent(score.agreement)}`;
  return [
    table([{ title: `gates, ${highBits} bits first` }, ...["safe", "vectors", "budget", "vectors"].map(right)], rows),
    `safe         ${saved(safe)}`,
    `budget       ${saved(budget)}`,
  ].join("\n");
}

function tileGateTable({ highBits, whole, safe, budget }: TileGateReport): string {
  const right = (title: string): Column => ({ title, align: "right" });
  const saved = ({ savedPlanesPct, savedLinkPct, score, ...cost }: TileGateScore): string =>
    `saves ${savedPlanesPct.toFixed(1)} % of the input planes; ${linkText(cost)} on the link, ` +
    `${Math.abs(savedLinkPct).toFixed(1)} % ${savedLinkPct < 0 ? "more" : "less"}; agreement ${percent(score.agreement)}`;
  return [
    table(
      [{ title: `gates on tiles, ${highBits} bits first` }, ...["safe", "planes", "budget", "planes"].map(right)],
      safe.layers.map(({ layer, sparsity, skippedPlanes }, i) => [
        layer,
        percent(sparsity),
        percent(skippedPlanes),
        percent(budget.layers[i].sparsity),
        percent(budget.layers[i].skippedPlanes),
      ]),
    ),
    `whole        ${linkText(whole)} on the link; agreement ${percent(whole.score.agreement)}`,
    `safe         ${saved(safe)}`,
    `budget       ${saved(budget)}`,
  ].join("\n");
}

function paretoTable(points: readonly ParetoPoint[]): string {
  return table(
    ["stored", "bits", "accuracy", "agreement", "output error"].map((title) => ({ title, align: "right" })),
    points.map(({ bitsPerWeight, weightBytes, score }) => [
      bytes(weightBytes),
      bitsPerWeight.toFixed(2),
      percent(score.accuracy),
      percent(score.agreement),
      percent(score.outputError),
    ]),
  );
}

/** What an aged accelerator needs, and what each step costs. */
function recoveryTable(recovery: readonly RecoveryStep[]): string {
  return table(
    [
      { title: "recovery from drift" },
      { title: "accuracy", align: "right" },
      { title: "agreement", align: "right" },
      { title: "MACs", align: "right" },
      { title: "samples", align: "right" },
      { title: "products", align: "right" },
      { title: "tiles programmed", align: "right" },
      { title: "on the link", align: "right" },
    ],
    recovery.map(({ step, score, samples, products, programs, extraMacsPct, ...cost }) => [
      step,
      percent(score.accuracy),
      percent(score.agreement),
      `+${extraMacsPct.toFixed(0)} %`,
      String(samples),
      thousands(products),
      String(programs),
      linkText(cost),
    ]),
  );
}

function linkText({ linkBytes, linkSeconds }: LinkCost): string {
  return `${bytes(linkBytes)}, ${linkSeconds.toFixed(1)} s`;
}
