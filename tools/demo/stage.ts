import colors from "picocolors";
import { table } from "../table.ts";

/** What a step promised and what came of it. */
interface Outcome {
  readonly step: string;
  readonly expected: string;
  readonly found: string;
  readonly good: boolean;
}

/** Where the demo speaks: headings, facts, and a list of promises that decides how it ends. */
export class Stage {
  readonly #outcomes: Outcome[] = [];
  #chapter = 0;
  readonly #started = performance.now();

  chapter(title: string): void {
    this.#chapter++;
    console.log(`\n${colors.bold(`${this.#chapter} ${title}`)}`);
  }

  say(text: string): void {
    for (const line of text.split("\n")) console.log(line === "" ? "" : `  ${line}`);
  }

  fact(name: string, value: string): void {
    this.say(`${colors.dim(name.padEnd(12))} ${value}`);
  }

  /** Notes whether a promise was kept. */
  check(step: string, expected: string, found: string, good: boolean): void {
    this.#outcomes.push({ step, expected, found, good });
    this.say(`${good ? colors.green("✓") : colors.red("✗")} ${step}: ${found}`);
  }

  /** The list of promises; whether all were kept. */
  close(): boolean {
    const rows = this.#outcomes.map(({ step, expected, found, good }) => [
      good ? colors.green("✓") : colors.red("✗"),
      step,
      expected,
      found,
    ]);
    const kept = this.#outcomes.filter(({ good }) => good).length;
    console.log(`\n${table([{ title: "" }, { title: "step" }, { title: "promised" }, { title: "measured" }], rows)}`);
    const seconds = (performance.now() - this.#started) / 1000;
    console.log(`\n${kept} of ${rows.length} promises kept in ${seconds.toFixed(0)} s`);
    return kept === rows.length;
  }
}
