import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { cpus, tmpdir } from "node:os";
import { basename, extname, join } from "node:path";
import { loadProfile } from "../../device-profiles/profiles.ts";
import { Failure } from "../../runtime/base/failure.ts";
import { gaussian } from "../../runtime/base/random.ts";
import { importModel } from "../../runtime/model/import.ts";
import { type FormatName, formatNames } from "../../runtime/model/stages.ts";
import { prepare } from "../../runtime/polarize/prepare.ts";
import { encodeModel } from "../../runtime/quantize/file.ts";
import { sizeOf, type Tensor } from "../../runtime/tensor/tensor.ts";
import { readBytes, readSamples } from "../inputs.ts";
import { Lane } from "./lane.ts";
import { peersInstalled } from "./peers.ts";
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
  /** Of each run to the first of polaredge: how many times as long it takes. */
  readonly ratios: Readonly<Record<string, { readonly min: number; readonly median: number }>>;
}

export interface Run extends Figures {
  readonly name: string;
  /** From the start of a process to the first answer. */
  readonly coldMs: number;
}

type Report = (done: number, of: number) => void;

export async function bench(path: string, options: BenchOptions, report: Report): Promise<BenchReport> {
  const folder = await mkdtemp(join(tmpdir(), "polaredge-bench-"));
  try {
    const own = await ownContenders(path, options, folder);
    const contenders = [...own, ...peersOf(path, options), { name: "bare node", engine: "bare node", file: "-" }];
    const runs = await measure(contenders, options, report);
    const node = process.version;
    const [{ model: cpu }] = cpus();
    const { processes, rounds } = options;
    return { model: basename(path), node, cpu, processes, rounds, runs, ratios: ratiosOf(runs) };
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** The model in each format, prepared as a device would. INT8 gets no surrogates unless a rank is asked for. */
async function ownContenders(path: string, options: BenchOptions, folder: string): Promise<Contender[]> {
  const model = await readBytes(path);
  const profile = await loadProfile(options.profile);
  const samples = await samplesFor(path, model, options, profile.calibration.samples);
  const contenders: Contender[] = [];
  for (const format of formatsOf(options)) {
    const rank = options.rank ?? (format === "int8" ? 0 : profile.surrogate.rank);
    const quantization = { ...profile.quantization, weights: format };
    const job = { model, name: basename(path), samples, profile: { ...profile, quantization, surrogate: { rank } } };
    const file = join(folder, `${format}.polar`);
    await writeFile(file, encodeModel(await prepare(job, undefined, () => undefined)));
    contenders.push({ name: `polaredge ${format}${rank > 0 ? ` rank ${rank}` : ""}`, engine: "polaredge", file });
  }
  return contenders;
}

/** The formats of the shipped profiles; every code book costs what nf4 does. */
const usual: readonly FormatName[] = ["int8", "nf4"];

function formatsOf({ format }: BenchOptions): readonly FormatName[] {
  if (format === undefined) return usual;
  const known = formatNames.find((name) => name === format);
  if (known) return [known];
  throw new Failure("input/malformed", `--format ${format}: unknown weight format; one of ${formatNames.join(", ")}`);
}

/** Real samples, or noise: that makes a poor model, but one of the same speed. */
async function samplesFor(path: string, model: Uint8Array, { inputs }: BenchOptions, count: number): Promise<Tensor> {
  const { shape } = importModel(model, basename(path)).graph.input;
  if (inputs !== undefined) return readSamples(inputs, shape);
  return {
    shape: [count, ...shape.slice(1)],
    data: Float32Array.from({ length: count * sizeOf(shape) }, gaussian(1)),
  };
}

function peersOf(path: string, { peers, peerModel = [] }: BenchOptions): Contender[] {
  if (!peers) return [];
  if (!peersInstalled()) {
    throw new Failure("input/missing", "the peers are not installed; run `polaredge bench --install-peers` first");
  }
  const both = [{ kind: "f32", file: path }, ...peerModel.map((file) => ({ kind: "int8", file }))];
  const tfjs = { name: "tfjs-wasm f32", engine: "tfjs-wasm", file: path };
  const others = both.flatMap(({ kind, file }) =>
    (extname(file) === ".onnx" ? ["onnxruntime-node", "onnxruntime-web"] : ["LiteRT.js"]).map((engine) => ({
      name: `${engine} ${kind}`,
      engine,
      file,
    })),
  );
  return [tfjs, ...others];
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
  const middle = (of: keyof (typeof runs)[number]): number => {
    const sorted = runs.map((run) => run[of]).sort((a, b) => a - b);
    return sorted[sorted.length >> 1];
  };
  return {
    minUs: Math.min(...runs.map(({ minUs }) => minUs)),
    medianUs: middle("medianUs"),
    p999Us: middle("p999Us"),
    rssMb: middle("rssMb"),
    coldMs: middle("coldMs"),
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
