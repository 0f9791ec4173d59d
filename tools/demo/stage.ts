import colors from "picocolors";
import { table } from "../cli/table.ts";

/** What a step promised and what came of it. */
interface Outcome {
  readonly step: string;
  readonly promised: string;
  readonly measured: string;
  readonly kept: boolean;
}

/**
 * Where the demo speaks: headings, facts, and a list of promises that decides how it ends. For machines the list alone
 * goes to standard output, as JSON, and what people follow to standard error.
 */
export class Stage {
  readonly #json: boolean;
  readonly #outcomes: Outcome[] = [];
  #chapter = 0;
  readonly #started = performance.now();

  constructor(json = false) {
    this.#json = json;
  }

  chapter(title: string): void {
    this.#chapter++;
    this.#print(`\n${colors.bold(`${this.#chapter} ${title}`)}`);
  }

  say(text: string): void {
    for (const line of text.split("\n")) this.#print(line === "" ? "" : `  ${line}`);
  }

  fact(name: string, value: string): void {
    this.say(`${colors.dim(name.padEnd(12))} ${value}`);
  }

  /** Notes whether a promise was kept. */
  check(step: string, promised: string, measured: string, kept: boolean): void {
    this.#outcomes.push({ step, promised, measured, kept });
    this.say(`${kept ? colors.green("✓") : colors.red("✗")} ${step}: ${measured}`);
  }

  /** The list of promises; whether all were kept. */
  close(): boolean {
    const rows = this.#outcomes.map(({ step, promised, measured, kept }) => [
      kept ? colors.green("✓") : colors.red("✗"),
      step,
      promised,
      measured,
    ]);
    const count = this.#outcomes.filter(({ kept }) => kept).length;
    const seconds = (performance.now() - this.#started) / 1000;
    const found = { promises: this.#outcomes, kept: count, of: rows.length, seconds };
    if (this.#json) console.log(JSON.stringify(found, undefined, 2));
    this.#print(`\n${table([{ title: "" }, { title: "step" }, { title: "promised" }, { title: "measured" }], rows)}`);
    this.#print(`\n${count} of ${rows.length} promises kept in ${seconds.toFixed(0)} s`);
    return count === rows.length;
  }

  #print(line: string): void {
    if (this.#json) console.error(line);
    else console.log(line);
  }
}
