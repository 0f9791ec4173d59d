import { argmax } from "../tensor/tensor.ts";

/** Inputs whose float answers are known: how the device judges a model without labels. */
export interface Probes {
  readonly count: number;
  /** count x input, one after the other. */
  readonly inputs: Float32Array;
  /** count x output: what the float model answers. */
  readonly answers: Float32Array;
}

export interface ProbeReading {
  /** Per cent of the probes on which the greatest output is the float model's. */
  readonly agreementPct: number;
  /** RMS of the difference to the float answers over RMS of these. */
  readonly residual: number;
  /** RMS difference of one probe asked twice, in the same measure: 0 in a digital model. */
  readonly noiseFloor: number;
  /** Answers with a NaN or an infinity in them. */
  readonly nonFinite: number;
  readonly p95Ms: number;
}

export type Ask = (input: Float32Array) => Promise<Float32Array>;

/** Asks all probes, and the first one once more. `nowMs` is monotonic. */
export async function askProbes(probes: Probes, ask: Ask, nowMs: () => number): Promise<ProbeReading> {
  const { count, inputs, answers } = probes;
  const length = inputs.length / count;
  const width = answers.length / count;
  const tally = new Tally();
  const latencies: number[] = [];
  let first: Float32Array | undefined;
  for (let i = 0; i < count; i++) {
    const began = nowMs();
    const output = await ask(inputs.subarray(i * length, (i + 1) * length));
    latencies.push(nowMs() - began);
    first ??= output.slice();
    tally.add(answers.subarray(i * width, (i + 1) * width), output);
  }
  const again = count > 0 ? await ask(inputs.subarray(0, length)) : new Float32Array();
  return { ...tally.reading(), noiseFloor: relative(first ?? again, again), p95Ms: percentile(latencies, 0.95) };
}

class Tally {
  #count = 0;
  #agreed = 0;
  #nonFinite = 0;
  #difference = 0;
  #energy = 0;

  add(expected: Float32Array, output: Float32Array): void {
    this.#count++;
    const finite = output.every(Number.isFinite);
    if (!finite) this.#nonFinite++;
    else if (argmax(expected) === argmax(output)) this.#agreed++;
    this.#difference += finite ? squares(expected, output) : squares(expected);
    this.#energy += squares(expected);
  }

  reading(): Omit<ProbeReading, "noiseFloor" | "p95Ms"> {
    return {
      agreementPct: this.#count > 0 ? (100 * this.#agreed) / this.#count : 0,
      residual: ratio(this.#difference, this.#energy),
      nonFinite: this.#nonFinite,
    };
  }
}

function relative(a: Float32Array, b: Float32Array): number {
  return ratio(squares(a, b), squares(a));
}

function ratio(difference: number, energy: number): number {
  return energy > 0 ? Math.sqrt(difference / energy) : 0;
}

function squares(a: Float32Array, b?: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] - (b?.[i] ?? 0)) ** 2;
  return sum;
}

/** Nearest rank; 0 of nothing. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0;
}
