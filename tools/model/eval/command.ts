import { writeFile } from "node:fs/promises";
import { lineChart } from "../../cli/chart.ts";
import { progressBar } from "../../cli/progress.ts";
import { chartOf } from "./curve.ts";
import { type EvalOptions, evaluate } from "./evaluate.ts";
import { evalText } from "./text.ts";

export async function evalCommand(model: string, options: EvalOptions & { json?: boolean }): Promise<void> {
  const bar = progressBar();
  try {
    const report = await evaluate(model, options, ({ stage, done, of }) => bar.show(stage, done, of));
    bar.end();
    if (report.curve && options.chart) await writeFile(options.chart, lineChart(chartOf(report.curve)));
    console.log(options.json ? JSON.stringify(report, undefined, 2) : evalText(report));
  } finally {
    bar.end();
  }
}
