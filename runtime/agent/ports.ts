import type { DeviceProfile } from "../../device-profiles/device.ts";
import type { Clock } from "../base/clock.ts";
import type { Log } from "../base/log.ts";
import type { Fleet, FleetListener, Info, Progress } from "../fleet/topics.ts";
import type { Host } from "../health/host.ts";
import type { LayerFit } from "../model/layer-fit.ts";
import type { MatmulUnit } from "../plan/unit.ts";
import type { StepTaken } from "../polarize/recovery.ts";
import type { Samples } from "../polarize/statistics.ts";
import type { Port } from "../serve/servable.ts";
import type { Part } from "../store/blobs.ts";
import type { Store } from "../store/store.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { Trust } from "../trust/trust.ts";
import type { Leases } from "./leases.ts";
import type { Unit } from "./state.ts";

/** A model that answers. The plan's Runner is one. */
export interface Engine {
  readonly input: Port;
  readonly output: Port;
  readonly inputLength: number;
  readonly outputLength: number;
  run(input: Float32Array): Promise<Float32Array>;
}

/** Makes an engine of a prepared model; products are computed digitally where there is no unit. */
export type OpenEngine = (model: Uint8Array, unit: MatmulUnit | undefined) => Promise<Engine>;

export interface Preparation {
  /** The float model as downloaded. */
  readonly model: Uint8Array;
  readonly name: string;
  /** count x input shape, or what is known of such samples. */
  readonly samples: Samples;
  readonly probes: Tensor;
  readonly unit: Unit;
  /** Of a recalibration: the model that the tiles hold, to be refitted rather than prepared anew. */
  readonly installed?: Installed | undefined;
}

export interface Installed {
  /** A `.polar` file. */
  readonly model: Uint8Array;
  /** Agreement on the probes that needs no further step. */
  readonly enoughPct: number;
}

export interface Prepared {
  /** A `.polar` file. */
  readonly model: Uint8Array;
  /** What the float model answers to the probes: count x output. */
  readonly answers: Float32Array;
  /** How each layer came out. */
  readonly layers: readonly LayerFit[];
  /** What a recalibration did, in order. */
  readonly steps?: readonly StepTaken[] | undefined;
  /** Layers that the accelerator gets so wrong that they are computed digitally. */
  readonly returned?: readonly string[] | undefined;
}

/** Imports, quantizes and calibrates, away from the serving model. */
export interface Preparer {
  prepare(job: Preparation, report: (progress: Progress) => void, signal: AbortSignal): Promise<Prepared>;
}

/** Brings a file into the store. */
export type Fetch = (
  url: string,
  part: Part,
  options: {
    readonly signal: AbortSignal;
    readonly onProgress: (done: number, of: number) => void;
    readonly maxKBps?: number | undefined;
  },
) => Promise<void>;

/** All that the agent works with; main.ts joins the real ones, tests pass their own. */
export interface AgentParts {
  readonly info: Omit<Info, "v" | "boot">;
  readonly profile: Pick<DeviceProfile, "name" | "calibration" | "drift">;
  readonly store: Store;
  /** Undefined where unsigned jobs are taken, which a configuration has to say. */
  readonly trust:
    | Pick<Trust, "open" | "release" | "assertTrusted" | "refresh" | "seen" | "isFrozen" | "now">
    | undefined;
  /** Where the files of signed releases are, by digest. */
  readonly blobUrl: (sha256: string) => string;
  readonly connect: (listener: FleetListener) => Fleet;
  readonly fetch: Fetch;
  readonly preparer: Preparer;
  readonly openEngine: OpenEngine;
  readonly leases: Leases;
  readonly host: Pick<Host, "read">;
  readonly clock: Clock;
  readonly log: Log;
  /** Recent inputs kept for recalibration; 0 keeps none. */
  readonly reservoirSamples: number;
  readonly healthSeconds: number;
}
