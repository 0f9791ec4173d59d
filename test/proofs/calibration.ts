import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { fileURLToPath } from "node:url";
import { loadProfile } from "../../device-profiles/profiles.ts";
import { gaussian } from "../../runtime/base/random.ts";
import { importModel } from "../../runtime/model/import.ts";
import { prepare } from "../../runtime/polarize/prepare.ts";
import { sizeOf } from "../../runtime/tensor/tensor.ts";
import { sharedData } from "../support/shared.ts";

/**
 * `npm run proof:calibration`: how long a device needs from a float model to one in NF4 with surrogates of rank 8, on 32
 * samples, and how much memory; each in a fresh process, imports excluded, from the built package. For a quiet machine.
 * Samples are noise: as many numbers, the same time.
 */
const SAMPLES = 32;
const MOST_RSS_MB = 350;
const mostSeconds = { kws: 3, ic: 6, vww: 15 };

interface Taken {
  readonly seconds: number;
  readonly rssMb: number;
}

const [, script, only] = process.argv;
if (only === undefined) proveAll();
else console.log(JSON.stringify(await taken(only)));

function proveAll(): void {
  const kept = Object.entries(mostSeconds).map(([net, most]) => {
    const model = sharedData(`models/${net}.f32.onnx`);
    if (!model) return false;
    const own = execFileSync(process.execPath, [script, fileURLToPath(model)], { encoding: "utf8" });
    const { seconds, rssMb }: Taken = JSON.parse(own);
    const holds = seconds <= most && rssMb <= MOST_RSS_MB;
    const text = `${seconds.toFixed(1)} s of ${most}, ${rssMb.toFixed(0)} MB of ${MOST_RSS_MB} resident at most`;
    console.log(`${holds ? "✓" : "✗"}  ${net}: ${text}`);
    return holds;
  });
  console.log(`calibration: ${kept.filter(Boolean).length} of ${kept.length} hold, Node ${process.version}`);
  process.exitCode = kept.every(Boolean) ? 0 : 1;
}

async function taken(path: string): Promise<Taken> {
  const [model, name] = [readFileSync(path), basename(path)];
  const { shape } = importModel(model, name).graph.input;
  const normal = gaussian(1);
  const samples = {
    shape: [SAMPLES, ...shape.slice(1)],
    data: Float32Array.from({ length: SAMPLES * sizeOf(shape) }, normal),
  };
  const { quantization, ...profile } = await loadProfile("raspberry-pi-4");
  const began = performance.now();
  await prepare({
    model,
    name,
    samples,
    profile: { ...profile, quantization: { ...quantization, weights: "nf4" } },
  });
  return { seconds: (performance.now() - began) / 1000, rssMb: process.resourceUsage().maxRSS / 1024 };
}
