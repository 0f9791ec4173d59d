import { type EvalOptions, type EvalReport, evaluate } from "./eval.ts";
import type { Score } from "./measure.ts";
import { progressBar } from "./progress.ts";
import { bytes, percent, table, thousands } from "./table.ts";

export async function evalCommand(model: string, options: EvalOptions & { json?: boolean }): Promise<void> {
  const bar = progressBar();
  try {
    const report = await evaluate(model, options, ({ stage, done, of }) => bar.show(stage, done, of));
    bar.end();
    console.log(options.json ? JSON.stringify(report, undefined, 2) : evalText(report));
  } finally {
    bar.end();
  }
}

export function evalText(report: EvalReport): string {
  const { analog, surrogate } = report;
  const float: Score = { ...report.float, agreement: 1, outputError: 0 };
  const rows: [string, Score][] = [
    ["float", float],
    [`${report.format} quantized`, report.quantized],
    [`${report.format} corrected`, report.corrected],
  ];
  if (analog) rows.push(["analog", analog.quantized], ["analog corrected", analog.corrected]);
  return [
    `${report.model} on ${report.profile}: ${report.calibrationSamples} samples calibrate, ${report.measured} are measured`,
    "",
    table(
      [
        { title: "" },
        { title: "accuracy", align: "right" },
        { title: "agreement", align: "right" },
        { title: "output error", align: "right" },
      ],
      rows.map(([name, { accuracy, agreement, outputError }]) => [
        name,
        percent(accuracy),
        percent(agreement),
        percent(outputError),
      ]),
    ),
    "",
    `weights      ${bytes(report.weightBytes)} (${report.bitsPerWeight.toFixed(2)} bits per weight, scales included)`,
    `activations  ${bytes(report.arenaBytes)}`,
    `surrogates   ${thousands(surrogate.params)} parameters: ` +
      `+${surrogate.extraParamsPct.toFixed(1)} % parameters, +${surrogate.extraMacsPct.toFixed(1)} % MACs`,
    `calibration  ${report.calibrationSeconds.toFixed(2)} s`,
    `inference    ${report.microsecondsPerInference.toFixed(0)} µs on this machine`,
  ].join("\n");
}
