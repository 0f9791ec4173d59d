import * as z from "zod/mini";
import { criterionNames, formatNames, roundingNames } from "../runtime/model/stages.ts";
import type { QuantizationPolicy } from "../runtime/quantize/quantize.ts";

/** What a device is, how low its precision goes, and what it may spend. Loaded from JSON; see README.md of this folder. */
export interface DeviceProfile {
  readonly kind: "device";
  readonly name: string;
  readonly description: string;
  /** For each number or group of numbers (a dotted path), where it comes from. Every number is covered. */
  readonly sources: Readonly<Record<string, string>>;
  readonly cpu: { readonly architecture: string; readonly cores: number; readonly clockMhz: number };
  readonly memory: {
    /** Fitted on the board. */
    readonly totalBytes: number;
    /** What the weights of one prepared model may take. */
    readonly weightBytes: number;
    /** What the activations of one inference may take. */
    readonly arenaBytes: number;
  };
  readonly quantization: QuantizationPolicy;
  readonly surrogate: {
    readonly rank: number;
    /**
     * What the path of a layer on an accelerator may cost after drift, per cent of the layer's own multiplications: where
     * the error asks for it, its rank grows so far beyond `rank`. Default: it does not.
     */
    readonly driftedMacsPct?: number | undefined;
    /**
     * Of logit distillation after the closed form, at most; it is kept where it answers samples that were held back
     * better. Default: none, the closed form alone.
     */
    readonly distillSteps?: number | undefined;
  };
  readonly calibration: { readonly samples: number; readonly maxSeconds: number; readonly maxBytes: number };
  readonly drift: DriftPolicy;
  readonly energy?: EnergyProfile | undefined;
}

/** A model of what this processor's arithmetic and memory take, never a measurement: picojoules (runtime/plan/energy.ts). */
export interface EnergyProfile {
  /** Of a multiply-accumulate of the main path, whatever the weight's format: the kernels multiply eight bits by eight. */
  readonly macPj: number;
  /** Of one of the low-rank path, in f32. */
  readonly surrogateMacPj: number;
  /** Of moving a stored byte to where it is multiplied, once per inference. */
  readonly bytePj: number;
}

export interface DriftPolicy {
  /** How often the probes run through the live path. */
  readonly checkSeconds: number;
  /** Below this agreement with the float answers, in per cent, a recalibration starts. */
  readonly recalibrateBelowPct: number;
  /** At or above this the device counts as healthy again. */
  readonly healthyAbovePct: number;
  /**
   * A layer on an accelerator whose answers are further off than this after its correction, relative RMS in per cent, is
   * computed digitally. Default: see digitalAbovePct.
   */
  readonly digitalAbovePct?: number | undefined;
}

/**
 * Where the profile does not say it: a layer may leave as large a share of its answers' power unexplained as the device's
 * answers may differ from the float model's before something is done; 90 % agreement makes that 31.6 % of its RMS. (Layers
 * of the MLPerf Tiny models are 5 to 26 % off after a year of drift and a correction.)
 */
export function digitalAbovePct(policy: Pick<DriftPolicy, "digitalAbovePct" | "recalibrateBelowPct">): number {
  return policy.digitalAbovePct ?? 100 * Math.sqrt(1 - policy.recalibrateBelowPct / 100);
}

const format = z.enum(formatNames);
const bytes = z.int().check(z.positive());
const positive = z.number().check(z.positive());
const percent = z.number().check(z.minimum(0), z.maximum(100));

export const deviceProfile: z.ZodMiniType<DeviceProfile> = z.strictObject({
  kind: z.literal("device"),
  name: z.string().check(z.regex(/^[a-z0-9][a-z0-9-]{0,63}$/)),
  description: z.string(),
  sources: z.record(z.string(), z.string()),
  cpu: z.strictObject({
    architecture: z.string(),
    cores: z.int().check(z.positive()),
    clockMhz: positive,
  }),
  memory: z.strictObject({ totalBytes: bytes, weightBytes: bytes, arenaBytes: bytes }),
  quantization: z.strictObject({
    weights: format,
    blockLength: z.int().check(z.minimum(8), z.maximum(65536)),
    firstLayer: format,
    lastLayer: format,
    depthwise: z.literal("int8"),
    budget: z.optional(
      z.union([
        z.strictObject({ bitsPerWeight: z.number().check(z.minimum(1), z.maximum(10)) }),
        z.strictObject({ bytes }),
        z.strictObject({ microseconds: positive }),
        z.strictObject({ microjoules: positive }),
        z.strictObject({ bitOperations: positive }),
      ]),
    ),
    criterion: z.optional(z.enum(criterionNames)),
    rounding: z.optional(z.enum(roundingNames)),
  }),
  surrogate: z.strictObject({
    rank: z.int().check(z.minimum(0), z.maximum(64)),
    driftedMacsPct: z.optional(percent),
    distillSteps: z.optional(z.int().check(z.minimum(0), z.maximum(10_000))),
  }),
  calibration: z.strictObject({
    samples: z.int().check(z.minimum(1), z.maximum(4096)),
    maxSeconds: positive,
    maxBytes: bytes,
  }),
  drift: z.strictObject({
    checkSeconds: positive,
    recalibrateBelowPct: percent,
    healthyAbovePct: percent,
    digitalAbovePct: z.optional(percent),
  }),
  energy: z.optional(z.strictObject({ macPj: positive, surrogateMacPj: positive, bytePj: positive })),
});
