import colors from "picocolors";
import { Failure } from "../../runtime/base/failure.ts";
import { progressBar } from "../progress.ts";
import { table } from "../table.ts";
import { type BenchOptions, type BenchReport, bench } from "./bench.ts";
import { installPeers } from "./peers.ts";

export async function benchCommand(
  model: string | undefined,
  options: BenchOptions & { installPeers?: boolean; json?: boolean },
): Promise<void> {
  if (options.installPeers) installPeers();
  if (model === undefined) {
    if (options.installPeers) return;
    throw new Failure("input/missing", "no model to measure; see polaredge bench --help");
  }
  const bar = progressBar();
  try {
    const report = await bench(model, options, (done, of) => bar.show("measure", done, of));
    bar.end();
    console.log(options.json ? JSON.stringify(report, undefined, 2) : benchText(report));
  } finally {
    bar.end();
  }
}

export function benchText({ model, node, cpu, processes, rounds, runs, ratios }: BenchReport): string {
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
        right("times"),
        right("cold ms"),
        right("RSS MB"),
        { title: "" },
      ],
      runs.map(({ name, minUs, medianUs, p999Us, coldMs, rssMb }) => {
        const measured = name !== "bare node";
        const ratio = ratios[name];
        return [
          name,
          ...[minUs, medianUs, p999Us].map((value) => (measured ? value.toFixed(1) : "")),
          ratio ? `${ratio.min.toFixed(2)} / ${ratio.median.toFixed(2)}` : "",
          coldMs.toFixed(0),
          rssMb.toFixed(0),
          measured ? colors.cyan(bar(medianUs / slowest)) : "",
        ];
      }),
    ),
    "",
    `times: how many times as long as ${runs[0].name}, minimum / median`,
  ].join("\n");
}

const BAR = 40;
const EIGHTHS = " ▏▎▍▌▋▊▉";

/** A bar of up to 40 characters, drawn to an eighth of one. */
function bar(share: number): string {
  const eighths = Math.max(1, Math.round(share * BAR * 8));
  return "█".repeat(eighths >> 3) + EIGHTHS[eighths & 7].trimEnd();
}
