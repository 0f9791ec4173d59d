import { table } from "../../tools/cli/table.ts";
import { attacks, besiege } from "../support/attacks.ts";

/** Every attack of the table against a device with its real trust, store and HTTP: what came of it. */
const rows: string[][] = [];
let held = 0;
for (const attack of attacks) {
  const { code, before, after, right } = await besiege(attack);
  const good = code === attack.code && after === before && right;
  if (good) held++;
  rows.push([good ? "refused" : "FAILED", attack.name, code, `${before} -> ${after}`]);
}
console.log(table([{ title: "" }, { title: "attack" }, { title: "code" }, { title: "serves" }], rows));
const codes = new Set(attacks.map(({ code }) => code)).size;
console.log(`attacks: ${held} of ${attacks.length} refused with ${codes} codes, the serving model never touched`);
process.exitCode = held === attacks.length ? 0 : 1;
