import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { loadProfile } from "../../device-profiles/profiles.ts";
import { asset } from "../../runtime/base/assets.ts";
import type { LoadKernels } from "../../runtime/kernels/kernels.ts";
import { loadReference } from "../../runtime/kernels/reference.ts";
import { compile } from "../../runtime/plan/compile.ts";
import { Runner } from "../../runtime/plan/run.ts";
import { prepare } from "../../runtime/polarize/prepare.ts";
import { decodeModel, encodeModel } from "../../runtime/quantize/file.ts";
import { bearingSamples } from "../../tools/bearing/samples.ts";
import { allWasm } from "../support/all-wasm.ts";
import { convStep, depthwiseStep } from "../support/kernel-steps.ts";
import { run } from "../support/kernel-trial.ts";

/**
 * One digest per implementation of what it answers: to random steps, and with a whole prepared model. All of them, on
 * all machines, must be the same (arm64.sh).
 *
 *   digests prepare <file.polar>   prepares the model, once for all machines
 *   digests <file.polar>           prints "<machine> <implementation> <digest>" per implementation
 */
const [command, file = command] = process.argv.slice(2);

if (command === "prepare") writeFileSync(file, await prepared());
else {
  for (const load of [loadReference, ...(await allWasm())]) {
    process.stdout.write(`${process.arch} ${load(16).name.replace(" ", "-")} ${digestOf(load, readFileSync(file))}\n`);
  }
}

async function prepared(): Promise<Uint8Array> {
  const model = readFileSync(asset("tools/bearing/bearing-1.0.0.onnx"));
  const profile = await loadProfile("raspberry-pi-4");
  const samples = bearingSamples(profile.calibration.samples, 5).inputs;
  return encodeModel(await prepare({ model, name: "bearing", samples, profile }, undefined, () => undefined));
}

function digestOf(load: LoadKernels, model: Uint8Array): string {
  const hash = createHash("sha256");
  for (let seed = 0; seed < 12; seed++) {
    const of = {
      narrow: seed % 2 === 0,
      rank: seed % 5,
      residual: seed % 3 === 0,
      blockLength: seed % 4 ? 32 : 2 ** 16,
    };
    const window = { kernel: [3, 3], pads: [1, 1, 1, 1] } as const;
    const [conv, vector] = [
      { input: [6, 5, 7 + seed], columns: 20, window },
      { input: [1, 1, 130], columns: 40 },
    ] as const;
    for (const shape of [conv, vector]) {
      const { step, slots } = convStep({ ...shape, ...of }, seed);
      hash.update(run(load, step, slots, seed).output);
    }
    const { step, slots } = depthwiseStep({ input: [6, 5, 7 + seed], window, ...of }, seed);
    hash.update(run(load, step, slots, seed).output);
  }
  const runner = new Runner(compile(decodeModel(model)), load);
  const { data } = bearingSamples(16, 9).inputs;
  for (let at = 0; at < data.length; at += runner.inputLength) {
    hash.update(runner.runSync(data.subarray(at, at + runner.inputLength)));
  }
  return hash.digest("hex").slice(0, 32);
}
