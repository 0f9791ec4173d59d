import { writeFile } from "node:fs/promises";
import colors from "picocolors";
import { Failure } from "../../runtime/base/failure.ts";
import { type BarChart, barChart } from "../cli/bar-chart.ts";
import { progressBar } from "../cli/progress.ts";
import { table } from "../cli/table.ts";
import { type BenchOptions, type BenchReport, bench, benchGemv } from "./bench.ts";
import { installPeers } from "./peers.ts";

interface CommandOptions extends BenchOptions {
  readonly gemv?: string;
  readonly installPeers?: boolean;
  readonly json?: boolean;
  readonly svg?: string;
}

export async function benchCommand(model: string | undefined, options: CommandOptions): Promise<void> {
  if (options.installPeers) installPeers();
  const { gemv } = options;
  if (gemv === undefined && model === undefined) {
    if (options.installPeers) return;
    throw new Failure("input/missing", "no model to measure; see polaredge bench --help");
  }
  const bar = progressBar();
  const show = (done: number, of: number): void => bar.show("measure", done, of);
  try {
    const report = gemv === undefined ? await bench(model ?? "", options, show) : await benchGemv(gemv, options, show);
    bar.end();
    if (options.svg !== undefined) await writeFile(options.svg, barChart(benchChart(report)));
    console.log(options.json ? JSON.stringify(report, undefined, 2) : benchText(report));
  } finally {
    bar.end();
  }
}

export function benchText({ model, node, cpu, processes, rounds, runs, stepNs, ratios }: BenchReport): string {
  const right = (title: string) => ({ title, align: "right" }) as const;
  const engines = runs.filter(({ name }) => name !== "bare node");
  const slowest = Math.max(...engines.map(({ medianUs }) => medianUs));
  return [
    `${model} on ${cpu}, Node ${node}: one thread, ${processes} processes of each engine, ${rounds} rounds in turn`,
    "",
    table(
      [
        { title: "" },
        right("min µs"),
        right("median µs"),
        right("p99.9 µs"),
        right("tail"),
        right("floor"),
        right("times"),
        right("cold ms"),
        right("RSS MB"),
        { title: "" },
      ],
      runs.map(({ name, minUs, medianUs, p999Us, tail, floor, coldMs, rssMb }) => {
        const measured = name !== "bare node";
        const ratio = ratios[name];
        return [
          name,
          ...[minUs, medianUs, p999Us, tail, floor].map((value) => (measured ? value.toFixed(1) : "")),
          ratio ? `${ratio.min.toFixed(2)} / ${ratio.median.toFixed(2)}` : "",
          coldMs.toFixed(0),
          rssMb.toFixed(0),
          measured ? colors.cyan(bar(medianUs / slowest)) : "",
        ];
      }),
    ),
    "",
    "tail: p99.9 over the median; floor: the same of a plain loop that takes turns with the engine, so the machine's own",
    `times: how many times as long as ${runs[0].name}, minimum / median`,
    `A step of a plan takes ${stepNs.min.toFixed(1)} ns (median ${stepNs.median.toFixed(1)}) when it has nothing to compute.`,
  ].join("\n");
}

/** The medians of all engines; ours have a colour of their own. */
export function benchChart({ model, node, cpu, runs, ratios }: BenchReport): BarChart {
  const engines = runs.filter(({ name }) => name !== "bare node");
  return {
    title: `${model}: microseconds per inference`,
    axis: `median, one thread of ${cpu}, Node ${node}`,
    bars: engines.map(({ name, medianUs }) => ({
      name,
      value: medianUs,
      text: `${medianUs.toFixed(1)} µs${ratios[name] ? `, x ${ratios[name].median.toFixed(2)}` : ""}`,
      kind: name.startsWith("polaredge") ? 0 : 1,
    })),
  };
}

const BAR = 40;
const EIGHTHS = " ▏▎▍▌▋▊▉";

/** A bar of up to 40 characters, drawn to an eighth of one. */
function bar(share: number): string {
  const eighths = Math.max(1, Math.round(share * BAR * 8));
  return "█".repeat(eighths >> 3) + EIGHTHS[eighths & 7].trimEnd();
}
