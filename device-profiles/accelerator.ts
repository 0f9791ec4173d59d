import * as z from "zod/mini";

/** What an analog accelerator is: its arrays, converters and cells, and how to talk to it. Also what an emulator is. */
export interface AcceleratorProfile {
  readonly kind: "accelerator";
  readonly name: string;
  readonly description: string;
  /** For each number or group of numbers (a dotted path), where it comes from. Every number is covered. */
  readonly sources: Readonly<Record<string, string>>;
  readonly array: ArrayProfile;
  readonly converter: ConverterProfile;
  readonly cells: CellsProfile;
  readonly temperature: TemperatureProfile;
  /** A model of what the arrays take, never a measurement; a multiply-accumulate is two operations. The link is not in it. */
  readonly energy?: { readonly operationFj: number } | undefined;
  readonly link: {
    readonly baudRate: number;
    /** Largest payload of a frame, bytes. */
    readonly mtu: number;
    /** Frames and bytes that the device can hold unanswered. */
    readonly window: number;
    readonly bufferBytes: number;
  };
}

export interface ArrayProfile {
  readonly tiles: number;
  readonly rows: number;
  /** Weights side by side; each has a pair of cells per plane. */
  readonly columns: number;
  /** Sign and magnitude. */
  readonly weightBits: number;
  /** How a magnitude lies in cell pairs: one per bit, or one that holds all levels. See firmware-bridge/tiles/planes.ts. */
  readonly cells: "bit-planes" | "multi-level";
}

/** The way from a column's sum to a code: round(sum * gain / step + offset + noise), clamped. The host sets the step. */
export interface ConverterProfile {
  /** Signed codes of so many bits. 0: exact sums, no limits. */
  readonly bits: number;
  /** Standard deviation between columns, relative. */
  readonly gainSigma: number;
  /** Standard deviation between columns, in steps (LSB), whatever the step is: it belongs to the comparator. */
  readonly offsetLsb: number;
  /** Standard deviation of each conversion, in steps (LSB), at the reference temperature. */
  readonly noiseLsb: number;
  /** Whether a bit plane without any active row is left out. If not, its offset and noise count. */
  readonly skipsEmptyPlanes: boolean;
  /**
   * Conversions that the host may spend on a plane and input bit on average: above 1, it lets those that matter most be
   * read several times and averaged, against their noise.
   */
  readonly reads: number;
  /** Width of the register that a column's codes are added up in, two's complement; it wraps. */
  readonly accumulatorBits: number;
}

export type CellsProfile = IdealCells | SramCells | PcmCells | ReramCells;

export interface IdealCells {
  readonly model: "ideal";
}

/** Charge-domain bit cells that differ, and whose charge fades as (t / t0)^-nu with a nu of each cell's own. */
export interface SramCells {
  readonly model: "sram";
  /** Standard deviation between cells, relative. */
  readonly sigma: number;
  readonly drift: { readonly exponentMean: number; readonly exponentSigma: number; readonly t0Seconds: number };
}

/** Phase-change memory as in aihwkit's PCMLikeNoiseModel. */
export interface PcmCells {
  readonly model: "pcm";
  /** Conductance of the largest level, microsiemens. */
  readonly maxConductanceUs: number;
}

/** Resistive memory as in aihwkit's ReRamWan2022NoiseModel. */
export interface ReramCells {
  readonly model: "reram";
  /** Conductance of the largest level, microsiemens. */
  readonly maxConductanceUs: number;
}

export interface TemperatureProfile {
  readonly referenceC: number;
  /** Relative change of all columns' gain per kelvin. */
  readonly gainPerK: number;
  /** Standard deviation between columns of the offset's change per kelvin, in steps (LSB). */
  readonly offsetLsbPerK: number;
}

const count = z.int().check(z.positive(), z.maximum(65535));
const share = z.number().check(z.minimum(0), z.maximum(1));
const steps = z.number().check(z.minimum(0), z.maximum(64));

export const acceleratorProfile: z.ZodMiniType<AcceleratorProfile> = z.strictObject({
  kind: z.literal("accelerator"),
  name: z.string().check(z.regex(/^[a-z0-9][a-z0-9-]{0,63}$/)),
  description: z.string(),
  sources: z.record(z.string(), z.string()),
  array: z.strictObject({
    tiles: z.int().check(z.positive(), z.maximum(1024)),
    rows: z.int().check(z.positive(), z.maximum(1024)),
    columns: z.int().check(z.positive(), z.maximum(1024)),
    weightBits: z.int().check(z.minimum(2), z.maximum(8)),
    cells: z.enum(["bit-planes", "multi-level"]),
  }),
  converter: z.strictObject({
    bits: z.int().check(z.minimum(0), z.maximum(12)),
    gainSigma: share,
    offsetLsb: steps,
    noiseLsb: steps,
    skipsEmptyPlanes: z.boolean(),
    reads: z.number().check(z.minimum(1), z.maximum(16)),
    accumulatorBits: z._default(z.int().check(z.minimum(8), z.maximum(32)), 32),
  }),
  cells: z.discriminatedUnion("model", [
    z.strictObject({ model: z.literal("ideal") }),
    z.strictObject({
      model: z.literal("sram"),
      sigma: share,
      drift: z.strictObject({
        exponentMean: share,
        exponentSigma: share,
        t0Seconds: z.number().check(z.positive()),
      }),
    }),
    z.strictObject({ model: z.literal("pcm"), maxConductanceUs: z.number().check(z.positive()) }),
    z.strictObject({ model: z.literal("reram"), maxConductanceUs: z.number().check(z.positive()) }),
  ]),
  temperature: z.strictObject({
    referenceC: z.number().check(z.minimum(-55), z.maximum(150)),
    gainPerK: z.number().check(z.minimum(-0.05), z.maximum(0.05)),
    offsetLsbPerK: z.number().check(z.minimum(0), z.maximum(1)),
  }),
  energy: z.optional(z.strictObject({ operationFj: z.number().check(z.positive()) })),
  link: z.strictObject({
    baudRate: z.int().check(z.minimum(1200), z.maximum(12_000_000)),
    mtu: z.int().check(z.minimum(64), z.maximum(2000)),
    window: z.int().check(z.positive(), z.maximum(64)),
    bufferBytes: count,
  }),
});
