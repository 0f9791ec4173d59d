import { fileURLToPath } from "node:url";
import { type EvalOptions, evaluate } from "../../tools/model/eval/evaluate.ts";
import type { Score } from "../../tools/model/eval/measure.ts";
import type { EvalReport } from "../../tools/model/eval/report.ts";
import { sharedData } from "../support/shared.ts";

/**
 * `npm run proof:accuracy [-- PATTERN]`: what precision and analog physics cost real models (keywords and images of
 * MLPerf Tiny, on their development sets) after calibration on 32 samples, row by row against what we promise. Rows are
 * named as "kws nf4" or "ic analog 8-bit 1y"; all of the digital ones take minutes, the analog ones an hour.
 */
interface Row {
  readonly name: string;
  readonly options: Partial<EvalOptions>;
  /** Most that accuracy may fall below float, percentage points; of the worst device. */
  readonly drop: number;
  readonly worstDrop?: number;
  /** Least share of answers as in float, per cent. */
  readonly agreement?: number;
  /** The step of recovery from drift that is looked at. */
  readonly step?: string;
}

const four = { accelerator: "sram-bitplane-64x64", devices: 10 };
const eight = { accelerator: "sram-bitplane-64x64-8bit", devices: 5 };
const KEPT = "higher rank";
const NEW = "reprogrammed";

const rows: Readonly<Record<"kws" | "ic", readonly Row[]>> = {
  kws: [
    { name: "int8", options: { format: "int8" }, drop: 0.3, agreement: 98.5 },
    { name: "nf4", options: { format: "nf4" }, drop: 0.5, agreement: 98 },
    { name: "mix 4.0", options: { bitsBudget: 4 }, drop: 1, agreement: 97.5 },
    { name: "mix 3.5", options: { bitsBudget: 3.5 }, drop: 2, agreement: 95.5 },
    { name: "int2", options: { format: "int2" }, drop: 2, agreement: 95.5 },
    { name: "analog 4-bit", options: four, drop: 0.6, worstDrop: 1.5, agreement: 97.5 },
    { name: "analog 8-bit", options: eight, drop: 0.4, agreement: 98 },
    { name: "analog 8-bit 30d", options: { ...eight, age: "30d" }, drop: 0.6, step: KEPT },
    { name: "analog 8-bit 1y", options: { ...eight, age: "1y" }, drop: 1, step: KEPT },
    { name: "analog 8-bit 1y reprogrammed", options: { ...eight, age: "1y" }, drop: 0.4, step: NEW },
  ],
  ic: [
    { name: "int8", options: { format: "int8" }, drop: 0.3, agreement: 98.5 },
    { name: "nf4", options: { format: "nf4" }, drop: 0.5, agreement: 97.5 },
    { name: "mix 4.0", options: { bitsBudget: 4 }, drop: 1.2, agreement: 96 },
    { name: "mix 3.5", options: { bitsBudget: 3.5 }, drop: 2.5, agreement: 93.5 },
    { name: "int2", options: { format: "int2" }, drop: 3.5, agreement: 89.5 },
    { name: "analog 4-bit", options: four, drop: 1.5, worstDrop: 3, agreement: 91 },
    { name: "analog 8-bit", options: eight, drop: 0.5, agreement: 95 },
    { name: "analog 8-bit 30d", options: { ...eight, age: "30d" }, drop: 1, step: KEPT },
    { name: "analog 8-bit 1y", options: { ...eight, age: "1y" }, drop: 1.5, step: KEPT },
    { name: "analog 8-bit 1y reprogrammed", options: { ...eight, age: "1y" }, drop: 0.5, step: NEW },
  ],
};

const pattern = new RegExp(process.argv[2] ?? "");
const chosen = Object.entries(rows)
  .flatMap(([net, list]) => list.map((row) => ({ net, row })))
  .filter(({ net, row }) => pattern.test(`${net} ${row.name}`));
const runs = new Map<string, Promise<EvalReport>>();
let held = 0;
for (const { net, row } of chosen) if (await holds(net, row)) held++;
console.log(`accuracy: ${held} of ${chosen.length} rows hold, Node ${process.version}`);
process.exitCode = held === chosen.length && held > 0 ? 0 : 1;

async function holds(net: string, row: Row): Promise<boolean> {
  const paths = ["models/NET.f32.onnx", "NET/NET_dev.x.npy", "NET/NET_dev.y.npy"].map((path) => {
    const url = sharedData(path.replaceAll("NET", net));
    return url && fileURLToPath(url);
  });
  const [model, inputs, labels] = paths;
  if (!model || !inputs || !labels) return false;
  const report = await evaluated(net, { model, inputs, labels }, row.options);
  const { score, worst } = measured(report, row);
  const drop = pointsBelow(report, score);
  const bars: [text: string, found: number, kept: boolean][] = [
    [`drop of ${row.drop} pp`, drop, drop <= row.drop],
    ...limit("worst drop of", pointsBelow(report, worst), row.worstDrop, (found, most) => found <= most),
    ...limit("agreement of", 100 * score.agreement, row.agreement, (found, least) => found >= least),
  ];
  const kept = bars.every(([, , ok]) => ok);
  const text = bars.map(([bar, found]) => `${found.toFixed(2)} (${bar})`).join(", ");
  const also = `agreement ${(100 * score.agreement).toFixed(2)}, divergence ${score.divergence?.toFixed(4) ?? "-"}`;
  console.log(`${kept ? "✓" : "✗"}  ${net} ${row.name}: ${text}; ${also}`);
  return kept;
}

/** Rows that look at one run from several sides share it. */
function evaluated(
  net: string,
  { model, inputs, labels }: { readonly model: string; readonly inputs: string; readonly labels: string },
  options: Partial<EvalOptions>,
): Promise<EvalReport> {
  const run = `${net} ${JSON.stringify(options)}`;
  const draws = options.accelerator === undefined ? 5 : 1;
  const defaults = { profile: "raspberry-pi-4", draws, age: "0s", seed: 1, devices: 1 };
  const report = runs.get(run) ?? evaluate(model, { ...defaults, inputs, labels, ...options }, () => undefined);
  runs.set(run, report);
  return report;
}

/** What the row is about, and the worst of the devices. */
function measured({ analog, corrected }: EvalReport, { step }: Row): { score: Score; worst: Score } {
  if (!analog) return { score: corrected, worst: corrected };
  const recovered = analog.recovery.find((taken) => taken.step === step);
  const worst = analog.devices.reduce((least, one) => ((one.accuracy ?? 0) < (least.accuracy ?? 0) ? one : least));
  return { score: recovered?.score ?? analog.corrected, worst };
}

function pointsBelow({ float }: EvalReport, { accuracy }: Score): number {
  return 100 * ((float.accuracy ?? Number.NaN) - (accuracy ?? Number.NaN));
}

function limit(
  name: string,
  found: number,
  bar: number | undefined,
  holds: (found: number, bar: number) => boolean,
): [text: string, found: number, kept: boolean][] {
  return bar === undefined ? [] : [[`${name} ${bar}`, found, holds(found, bar)]];
}
