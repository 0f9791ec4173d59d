import { statSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { asset } from "../../runtime/base/assets.ts";
import { bench } from "../../tools/bench/bench.ts";
import { sharedData } from "../support/shared.ts";

/**
 * `npm run proof:footprint [-- MODEL.onnx]`: what serving costs beside the arithmetic, from the built package, as a
 * process that infers has it over one of bare Node. For a quiet machine: other work delays starts and tails. Without the
 * shared keyword spotter it takes the bearing model, whose inferences are shorter than what interrupts them.
 */
const kws = sharedData("models/kws.f32.onnx");
const model = process.argv[2] ?? (kws ? fileURLToPath(kws) : "tools/bearing/bearing-1.0.0.onnx");
const PROCESSES = 12;
const ROUNDS = 6;

const { runs, stepNs } = await bench(
  model,
  { format: "int8", profile: "raspberry-pi-4", processes: PROCESSES, rounds: ROUNDS },
  () => undefined,
);
const [own, bare] = runs;
const kib = (family: string): number => statSync(asset(`runtime/kernels/${family}.wasm`)).size / 1024;

/** Where the machine itself delays a thousandth of all work by more than three times, we may be as late as that. */
const latest = Math.max(3, 1.25 * own.floor);

const bars: readonly [what: string, found: number, unit: string, most: number][] = [
  ["first answer, later than bare Node starts", own.coldMs - bare.coldMs, "ms", 25],
  ["resident memory over bare Node", own.rssMb - bare.rssMb, "MB", 18],
  ["kernels, both modules", kib("plain") + Math.max(kib("dot2"), kib("dot4")), "KiB", 32],
  [`p99.9 over the median (${own.floor.toFixed(1)} for a plain loop as long, in turn)`, own.tail, "times", latest],
  ["a step of a plan with nothing to compute", stepNs.min, "ns", 20],
];
for (const [what, found, unit, most] of bars) {
  console.log(`${found <= most ? "✓" : "✗"}  ${what}: ${found.toFixed(1)} ${unit} of ${Number(most.toFixed(1))}`);
}
const kept = bars.filter(([, found, , most]) => found <= most).length;
console.log(`footprint: ${kept} of ${bars.length} bars hold for ${model}, Node ${process.version}`);
process.exitCode = kept === bars.length ? 0 : 1;
