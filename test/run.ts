import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { stripVTControlCharacters } from "node:util";

/**
 * `npm test`: the suites in two processes, for two cores. What builds the firmware is in one of them: two would build
 * it at once. `npm test -- PATTERN` runs the files whose path below `test` matches, in one process.
 */
const first = "(firmware-bridge|fleet|store)/";
const shards = [`^${first}.*\\.test\\.ts$`, `^(?!${first}).*\\.test\\.ts$`];

interface Counts {
  total: number;
  passed: number;
}

const began = performance.now();
const patterns = process.argv[2] === undefined ? shards : [process.argv[2]];
const counts = await Promise.all(patterns.map(run));
const [total, passed] = (["total", "passed"] as const).map((key) => counts.reduce((sum, count) => sum + count[key], 0));
const seconds = (performance.now() - began) / 1000;
process.stdout.write(`\n${passed} passed, ${total - passed} failed in ${seconds.toFixed(0)} s\n`);
process.exitCode = passed === total && total > 0 ? 0 : 1;

/** One process of uvu. Its output comes file by file, so that it does not mix with another's. */
async function run(pattern: string): Promise<Counts> {
  const colour = process.stdout.isTTY ? [] : ["--no-color"];
  const child = spawn(process.execPath, ["--import", "tsx", "node_modules/uvu/bin.js", ...colour, "test", pattern], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const counts: Counts = { total: 0, passed: 0 };
  let block: string[] = [];
  const flush = (): void => {
    if (block.length > 0) process.stdout.write(`${block.join("\n").trimEnd()}\n`);
    block = [];
  };
  for await (const line of createInterface({ input: child.stdout })) {
    const text = stripVTControlCharacters(line);
    const [, name, value] = /^ {2}(Total|Passed|Skipped|Duration): +(\d+)/.exec(text) ?? [];
    if (name === "Total") counts.total = Number(value);
    if (name === "Passed") counts.passed = Number(value);
    if (/^\S+\.test\.ts$/.test(text)) flush();
    if (name === undefined) block.push(line);
  }
  flush();
  // Whoever ended before it counted has not passed.
  if (counts.total === 0) counts.total = 1;
  return counts;
}
