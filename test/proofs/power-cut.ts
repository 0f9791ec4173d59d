import { table } from "../../tools/cli/table.ts";
import { changes, explore, type Figures } from "../support/power-cuts.ts";

/** Cuts the power before every operation of the disk, up to three times in a row, on the real store and agent. */
const LEAST_STATES = 20_000;
const DEPTH = 3;
const counts = ["states", "repeated", "bricks", "lost", "backwards", "stuck"] as const;

const rows: string[][] = [];
const total: Figures = { states: 0, repeated: 0, bricks: 0, lost: 0, backwards: 0, stuck: 0 };
const began = performance.now();
for (let seed = 1; total.states < LEAST_STATES; seed++) {
  for (const change of changes) {
    const figures = await explore(change, 1, DEPTH, seed);
    for (const count of counts) total[count] += figures[count];
    rows.push([change.name, String(seed), ...counts.map((count) => String(figures[count]))]);
  }
}
const titles = ["change", "seed", ...counts].map((title) => ({ title }));
console.log(table(titles, rows));
const { states, repeated, bricks, lost, backwards, stuck } = total;
const seconds = ((performance.now() - began) / 1000).toFixed(0);
console.log(
  `power-cut: ${states} crash states (${repeated} after 2 or 3 cuts) in ${seconds} s: ` +
    `${bricks} bricks, ${lost} lost models, ${backwards} sequences back, ${stuck} stuck`,
);
process.exitCode = bricks + lost + backwards + stuck === 0 && states >= LEAST_STATES ? 0 : 1;
