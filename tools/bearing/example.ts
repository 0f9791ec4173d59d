import { copyFile, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { encodeNpy } from "../../runtime/tensor/npy.ts";
import { table } from "../cli/table.ts";
import { releaseFile, releases } from "./releases.ts";
import { bearingSamples } from "./samples.ts";

/** Each set of samples with a seed of its own, so that none is judged by what it was fitted to. */
const sets = [
  { name: "calibration", count: 32, seed: 5, what: "to calibrate a release with" },
  { name: "probes", count: 64, seed: 6, what: "to judge it by" },
  { name: "x", count: 432, seed: 99, what: "samples to measure with; y.npy has their classes" },
] as const;

/** `polaredge example`: the bearing models and samples of theirs as files, to try everything with. */
export async function example(folder: string, json = false): Promise<string> {
  await mkdir(folder, { recursive: true });
  const rows: string[][] = [];
  for (const { version, accuracyPct } of releases) {
    const file = `bearing-${version}.onnx`;
    await copyFile(releaseFile(version), join(folder, file));
    rows.push([file, `bearing faults from vibration, 8 classes, ${accuracyPct} % right in float`]);
  }
  for (const { name, count, seed, what } of sets) {
    const { inputs, labels } = bearingSamples(count, seed);
    await writeFile(join(folder, `${name}.npy`), encodeNpy(inputs));
    const classes = { shape: [count], data: Float32Array.from(labels) };
    if (name === "x") await writeFile(join(folder, "y.npy"), encodeNpy(classes, "u1"));
    rows.push([`${name}.npy`, `${count} ${what}`]);
  }
  if (json) return JSON.stringify({ folder, files: rows.map(([file, what]) => ({ file, what })) }, undefined, 2);
  return table([{ title: "file" }, { title: folder }], rows);
}
