import { writeFile } from "node:fs/promises";
import { basename, extname, join } from "node:path";
import { loadProfile } from "../../device-profiles/profiles.ts";
import { Failure } from "../../runtime/base/failure.ts";
import { gaussian } from "../../runtime/base/random.ts";
import { importModel } from "../../runtime/model/import.ts";
import { type FormatName, formatNames } from "../../runtime/model/stages.ts";
import { prepare } from "../../runtime/polarize/prepare.ts";
import { encodeModel } from "../../runtime/quantize/file.ts";
import { sizeOf, type Tensor } from "../../runtime/tensor/tensor.ts";
import { readBytes, readSamples } from "../model/inputs.ts";
import type { BenchOptions } from "./bench.ts";
import { assertPeers } from "./peers.ts";
import type { Contender } from "./protocol.ts";

/** The model in each format, prepared as a device would. INT8 gets no surrogates unless a rank is asked for. */
export async function ownContenders(path: string, options: BenchOptions, folder: string): Promise<Contender[]> {
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

export function peersOf(path: string, { peers, peerModel = [] }: BenchOptions): Contender[] {
  if (!peers) return [];
  assertPeers();
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
