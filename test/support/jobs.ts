import type { Install } from "../../runtime/fleet/jobs.ts";
import { sha256 } from "../../runtime/store/digest.ts";
import { encodeNpy } from "../../runtime/tensor/npy.ts";

/** How the model of the tests behaves: its file is this, as JSON. The right answer to [x] is class x of three. */
export interface FakeModel {
  readonly version: string;
  /** Of all answers, from the first on, every how-manieth is wrong. */
  readonly wrongEvery?: number;
  /** Right for so many answers, counted over the whole test; then not finite. */
  readonly breaksAfter?: number;
  /** The float model itself has learnt something else: its classes are shifted. */
  readonly shift?: number;
  /** Not finite for this input, which no probe has. */
  readonly breaksOn?: number;
  readonly takesMs?: number;
  readonly preparation?: "fails" | "hangs";
}

export const CLASSES = 3;
export const PROBES = 8;

/** A release as a server offers it: its files by URL path. */
export interface FakeRelease {
  readonly files: ReadonlyMap<string, Uint8Array>;
  job(seq: number, change?: Partial<Install>): Install;
}

export function fakeRelease(model: FakeModel, origin = "http://fleet"): FakeRelease {
  const inputs = { shape: [PROBES, 1], data: Float32Array.from({ length: PROBES }, (_, i) => i % CLASSES) };
  const parts = {
    model: new TextEncoder().encode(JSON.stringify(model)),
    calibration: encodeNpy({ shape: [2, 1], data: Float32Array.of(0, 1) }),
    probes: encodeNpy(inputs),
  };
  const files = new Map(Object.entries(parts).map(([name, data]) => [`/${model.version}/${name}`, data]));
  const source = (name: keyof typeof parts): Install["probes"] => ({
    url: `${origin}/${model.version}/${name}`,
    sha256: sha256(parts[name]),
    bytes: parts[name].length,
  });
  const job = (seq: number, change: Partial<Install> = {}): Install => ({
    v: 1,
    jobId: `job-${seq}`,
    seq,
    device: "pi-1",
    action: "install",
    model: { ...source("model"), name: "kws", version: model.version },
    calibration: source("calibration"),
    probes: source("probes"),
    accept: { minAgreementPct: 90 },
    trial: { passes: 2, seconds: 1, minInferences: 0 },
    ...change,
  });
  return { files, job };
}

export function payload(job: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(job));
}
