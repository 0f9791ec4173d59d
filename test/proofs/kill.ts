import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { uniform } from "../../runtime/base/random.ts";

/** Kills a process with SIGKILL at random moments of its jobs, again and again on the same disk. */
const rounds = Number(process.argv[2] ?? 200);
const target = new URL("../support/kill-target.ts", import.meta.url).pathname;
const LONGEST_MS = 400;

interface Life {
  /** What served when it began, and the sequence of the state then. */
  readonly version: string;
  readonly sequence: number;
  /** The last that it said. */
  readonly last: number;
  readonly committed: number;
}

async function live(folder: string, forMs: number): Promise<Life | undefined> {
  const child = spawn(process.execPath, ["--import", "tsx", target, folder], { stdio: ["ignore", "pipe", "inherit"] });
  const gone = new Promise((resolve) => child.once("exit", resolve));
  let life: Life | undefined;
  let timer: NodeJS.Timeout | undefined;
  for await (const line of createInterface({ input: child.stdout })) {
    const [word, version = "", sequence] = line.split(" ");
    if (word === "serves") {
      life = { version, sequence: Number(sequence), last: Number(sequence), committed: 0 };
      timer = setTimeout(() => child.kill("SIGKILL"), forMs);
    } else if (life) life = { ...life, last: Number(sequence), committed: life.committed + 1 };
  }
  clearTimeout(timer);
  await gone;
  return child.signalCode === "SIGKILL" ? life : undefined;
}

const folder = await mkdtemp(join(tmpdir(), "polaredge-kill-"));
const random = uniform(3);
const began = performance.now();
let good = 0;
let jobs = 0;
let known = 0;
let serving = false;
try {
  for (let round = 0; round < rounds; round++) {
    const life = await live(folder, random() * LONGEST_MS);
    const fine = life !== undefined && life.sequence >= known && (!serving || life.version !== "nothing");
    if (fine) good++;
    else console.log(`round ${round}: known ${known}, ${JSON.stringify(life)}`);
    known = life?.last ?? known;
    serving ||= (life?.committed ?? 0) > 0;
    jobs += life?.committed ?? 0;
  }
} finally {
  await rm(folder, { recursive: true });
}
const seconds = ((performance.now() - began) / 1000).toFixed(0);
console.log(
  `kill: ${good} of ${rounds} starts after SIGKILL serve on, sequence never back; ${jobs} jobs ended; ${seconds} s`,
);
process.exitCode = good === rounds && jobs > 0 ? 0 : 1;
