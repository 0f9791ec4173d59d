import { mkdtemp, rm } from "node:fs/promises";
import { cpus, tmpdir } from "node:os";
import { basename, join } from "node:path";
import { ownContenders, peersOf } from "./contenders.ts";
import { STEPS } from "./engines.ts";
import { gemvContenders, layerOf } from "./gemv.ts";
import { Lane } from "./lane.ts";
import { assertPeers } from "./peers.ts";
import type { Contender, Figures } from "./protocol.ts";

export interface BenchOptions {
  readonly format?: string;
  readonly rank?: number;
  readonly inputs?: string;
  readonly profile: string;
  readonly peers?: boolean;
  /** The same model as others quantized it: .onnx for onnxruntime, .tflite for LiteRT.js. */
  readonly peerModel?: readonly string[];
  readonly processes: number;
  readonly rounds: number;
}

/** What `polaredge bench --json` prints. Times of one inference in microseconds, over all rounds of all processes. */
export interface BenchReport {
  readonly model: string;
  readonly node: string;
  readonly cpu: string;
  readonly processes: number;
  readonly rounds: number;
  readonly runs: readonly Run[];
  /** What a step of a plan takes that has nothing to compute, in nanoseconds: the least, and the median. */
  readonly stepNs: { readonly min: number; readonly median: number };
  /** Of each run to the first of polaredge: how many times as long it takes. */
  readonly ratios: Readonly<Record<string, { readonly min: number; readonly median: number }>>;
}

export interface Run extends Figures {
  readonly name: string;
  /** From the start of a process to the first answer. */
  readonly coldMs: number;
  /** How many times the median the slowest of a thousand inferences take: p999Us / medianUs. */
  readonly tail: number;
}

type Report = (done: number, of: number) => void;

/** What every start and every step costs; the last is no run of the report. */
const always: readonly Contender[] = [
  { name: "bare node", engine: "bare node", file: "-" },
  { name: "empty steps", engine: "empty steps", file: "-" },
];

export function bench(path: string, options: BenchOptions, report: Report): Promise<BenchReport> {
  return inFolder(async (folder) => {
    const own = await ownContenders(path, options, folder);
    return compared(basename(path), [...own, ...peersOf(path, options)], options, report);
  });
}

/** Vectors through one layer of 4-bit weights, ROWSxCOLUMNS. @throws Failure input/missing without the peers */
export async function benchGemv(size: string, options: BenchOptions, report: Report): Promise<BenchReport> {
  const layer = layerOf(size);
  assertPeers();
  return inFolder(async (folder) => compared(size, await gemvContenders(layer, folder), options, report));
}

async function inFolder<T>(work: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), "polaredge-bench-"));
  try {
    return await work(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function compared(
  model: string,
  contenders: readonly Contender[],
  options: BenchOptions,
  report: Report,
): Promise<BenchReport> {
  const found = await measure([...contenders, ...always], options, report);
  const [runs, { minUs, medianUs }] = [found.slice(0, -1), found[found.length - 1]];
  const node = process.version;
  const [{ model: cpu }] = cpus();
  const { processes, rounds } = options;
  const stepNs = { min: (1000 * minUs) / STEPS, median: (1000 * medianUs) / STEPS };
  return { model, node, cpu, processes, rounds, runs, stepNs, ratios: ratiosOf(runs) };
}

/** Fresh processes of all contenders take turns, so that what disturbs the machine disturbs all of them. */
async function measure(
  contenders: readonly Contender[],
  { processes, rounds }: BenchOptions,
  report: Report,
): Promise<Run[]> {
  const found = contenders.map((): (Figures & { coldMs: number })[] => []);
  for (let generation = 0; generation < processes; generation++) {
    const lanes: Lane[] = [];
    try {
      for (const contender of contenders) lanes.push(await Lane.open(contender));
      for (let round = 0; round < rounds; round++) {
        report(generation * rounds + round, processes * rounds);
        for (const lane of lanes) await lane.round();
      }
      for (const [i, lane] of lanes.entries()) found[i].push({ ...(await lane.finish()), coldMs: lane.coldMs });
    } finally {
      for (const lane of lanes) lane.kill();
    }
  }
  return contenders.map(({ name }, i) => ({ name, ...together(found[i]) }));
}

/** The least of all processes for what disturbances only raise, the middle one for the rest. */
function together(runs: readonly (Figures & { coldMs: number })[]): Omit<Run, "name"> {
  const middle = (of: (run: (typeof runs)[number]) => number): number => {
    const sorted = runs.map(of).sort((a, b) => a - b);
    return sorted[sorted.length >> 1];
  };
  return {
    minUs: Math.min(...runs.map(({ minUs }) => minUs)),
    medianUs: middle(({ medianUs }) => medianUs),
    p999Us: middle(({ p999Us }) => p999Us),
    tail: middle(({ p999Us, medianUs }) => p999Us / medianUs),
    floor: middle(({ floor }) => floor),
    rssMb: middle(({ rssMb }) => rssMb),
    coldMs: Math.min(...runs.map(({ coldMs }) => coldMs)),
  };
}

function ratiosOf([first, ...others]: readonly Run[]): BenchReport["ratios"] {
  const compared = others.filter(({ name }) => name !== "bare node");
  return Object.fromEntries(
    compared.map(({ name, minUs, medianUs }) => [
      name,
      { min: minUs / first.minUs, median: medianUs / first.medianUs },
    ]),
  );
}
