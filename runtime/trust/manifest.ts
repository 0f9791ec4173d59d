import * as z from "zod/mini";
import { Failure } from "../base/failure.ts";
import { describeIssues } from "../base/schema.ts";
import type { BlobRef } from "../store/blobs.ts";

/** What is released: which files, for whom, and what they must show. A TUF target at `manifestPath`. */
export interface Manifest {
  readonly v: 1;
  readonly name: string;
  readonly version: string;
  /** Devices that committed a release never go below its index again. */
  readonly rollbackIndex: number;
  readonly model: BlobRef;
  readonly calibration: BlobRef;
  readonly probes: BlobRef;
  readonly requires: {
    /** The oldest runtime that will do. */
    readonly runtime?: string | undefined;
    /** Device profiles by name; any, when absent. */
    readonly profiles?: readonly string[] | undefined;
  };
  readonly accept: { readonly minAgreementPct: number; readonly p95Ms?: number | undefined };
  readonly trial: {
    readonly passes: number;
    readonly seconds: number;
    readonly minInferences: number;
    readonly minContinuityPct?: number | undefined;
    readonly p95Ms?: number | undefined;
    readonly maxErrorPct?: number | undefined;
    readonly maxResidual?: number | undefined;
  };
  readonly notes?: string | undefined;
}

const label = z.string().check(z.regex(/^[A-Za-z0-9][A-Za-z0-9._+-]{0,127}$/));
const sha256 = z.string().check(z.regex(/^[0-9a-f]{64}$/));
const file = { sha256, bytes: z.int().check(z.minimum(1), z.maximum(256 * 1024 * 1024)) };
const percent = z.number().check(z.minimum(0), z.maximum(100));
const version = z.string().check(z.regex(/^\d+\.\d+\.\d+$/));

const manifest: z.ZodMiniType<Manifest> = z.strictObject({
  v: z.literal(1),
  name: label,
  version: label,
  rollbackIndex: z.int().check(z.minimum(0)),
  model: z.strictObject(file),
  calibration: z.strictObject(file),
  probes: z.strictObject(file),
  requires: z.strictObject({
    runtime: z.optional(version),
    profiles: z.optional(z.array(z.string())),
  }),
  accept: z.strictObject({ minAgreementPct: percent, p95Ms: z.optional(z.number().check(z.positive())) }),
  trial: z.strictObject({
    passes: z.int().check(z.minimum(1), z.maximum(1000)),
    seconds: z.number().check(z.minimum(0), z.maximum(7 * 86_400)),
    minInferences: z.int().check(z.minimum(0)),
    minContinuityPct: z.optional(percent),
    p95Ms: z.optional(z.number().check(z.positive())),
    maxErrorPct: z.optional(percent),
    maxResidual: z.optional(z.number().check(z.positive())),
  }),
  notes: z.optional(z.string().check(z.maxLength(2000))),
});

export const MAX_MANIFEST_BYTES: number = 64 * 1024;

export function manifestPath(name: string, release: string): string {
  return `releases/${name}-${release}.json`;
}

/** @throws Failure trust/malformed */
export function parseManifest(path: string, data: Uint8Array): Manifest {
  const json = parse(path, data);
  const parsed = manifest.safeParse(json);
  if (parsed.success) return parsed.data;
  throw new Failure("trust/malformed", describeIssues(path, json, parsed.error.issues), { path });
}

function parse(path: string, data: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(data));
  } catch (error) {
    throw new Failure("trust/malformed", `${path}: expected JSON, found something else`, { path }, error);
  }
}

/** @throws Failure job/wrong-profile, job/wrong-runtime */
export function assertFits(
  { requires }: Manifest,
  device: { readonly profile: string; readonly runtime: string },
): void {
  const { profiles, runtime } = requires;
  if (profiles && !profiles.includes(device.profile)) {
    throw new Failure("job/wrong-profile", `release: it is for ${profiles.join(", ")}, this is ${device.profile}`);
  }
  if (runtime !== undefined && isOlder(device.runtime, runtime)) {
    throw new Failure("job/wrong-runtime", `release: it needs runtime ${runtime}, this is ${device.runtime}`);
  }
}

function isOlder(found: string, least: string): boolean {
  const [a, b] = [found, least].map((text) => text.split(/[.-]/).map(Number));
  const at = [0, 1, 2].find((i) => a[i] !== b[i]);
  return at !== undefined && a[at] < b[at];
}
