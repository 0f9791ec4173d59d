import type { LayerAccumulation } from "../../../firmware-bridge/tiles/accelerator.ts";
import type { FormatName } from "../../../runtime/model/stages.ts";
import type { Budget } from "../../../runtime/quantize/quantize.ts";
import type { LayerPrecision } from "../precision.ts";
import type { Curve } from "./curve.ts";
import type { Score } from "./measure.ts";

/** What `polaredge eval --json` prints; the text of its --help documents it. Fields are added, never renamed. */
export interface EvalReport {
  readonly model: string;
  readonly profile: string;
  readonly format: FormatName;
  /** Within which each layer got its own format, instead of `format`. */
  readonly budget: Budget | null;
  readonly measured: number;
  readonly calibrationSamples: number;
  /** Scores are means over the draws, or over the devices for the analog ones. */
  readonly float: { readonly accuracy: number | null };
  /** Nearest codes in the formats, no column pruned, nothing corrected. */
  readonly quantized: Score;
  readonly corrected: Score;
  /** `corrected` of each draw of the calibration samples. */
  readonly draws: readonly Score[];
  /**
   * Low-rank corrections of others at the same formats, rank and samples (baselines.ts), no column pruned, if asked
   * for. Their seconds are those of fitting the paths alone: they compare with calibrationParts.fit and distill.
   */
  readonly compared: readonly { readonly name: string; readonly score: Score; readonly seconds: number }[];
  readonly analog: AnalogReport | null;
  /** Precision Gating (gates.ts), if asked for. */
  readonly gates: GateReport | null;
  /** The same on the tiles of the first device (tile-gates.ts), if both are asked for and gated layers are there. */
  readonly tileGates: TileGateReport | null;
  /** What --chart draws. */
  readonly curve: Curve | null;
  /** Of the first draw, the smallest mix of formats and ranks first; null if not asked for. */
  readonly pareto: readonly ParetoPoint[] | null;
  /** Of the first draw, as all that follows. */
  readonly layers: readonly LayerPrecision[];
  readonly bitsPerWeight: number;
  readonly weightBytes: number;
  readonly arenaBytes: number;
  readonly surrogate: { readonly params: number; readonly extraParamsPct: number; readonly extraMacsPct: number };
  readonly calibrationSeconds: number;
  readonly calibrationParts: CalibrationSeconds;
  /** On this machine, the least of several. */
  readonly microsecondsPerInference: number;
  /** Null if the profile has no model of it. */
  readonly energy: EnergyReport | null;
  /** Products of single bits in an inference. */
  readonly bitOperations: number;
}

/** What the layers of an inference take by the profiles' models (runtime/plan/energy.ts): modelled, never measured. */
export interface EnergyReport {
  readonly microjoules: number;
  readonly mainMicrojoules: number;
  readonly surrogateMicrojoules: number;
  /** To move what is stored. */
  readonly bytesMicrojoules: number;
  /** Two operations for each multiply-accumulate of the main path, over all of the energy. */
  readonly teraOpsPerWatt: number;
}

/** Where the time of a calibration goes. */
export interface CalibrationSeconds {
  /** To load and run the float model on the samples, which any correction needs. */
  observe: number;
  /** To choose formats and ranks within a budget. */
  choose: number;
  /** To find ranges of activations and the nearest codes, which any correction starts from. */
  quantize: number;
  /** To round the weights for their inputs and fit the corrections. */
  fit: number;
  /** To distill them, if the profile asks for it. */
  distill: number;
}

export interface AnalogReport {
  readonly quantized: Score;
  readonly corrected: Score;
  /** `corrected` of each device. */
  readonly devices: readonly Score[];
  readonly layers: number;
  /** Layers that no correction recovered on some device: they are computed digitally there. */
  readonly returned: readonly string[];
  /** Of the first device: what programming the tiles took, and fitting the corrections to them. */
  readonly placed: LinkCost;
  readonly calibrated: FitCost;
  /** Also of the first device: how wide its accumulators are, and what the sums of each layer take at most. */
  readonly accumulators: { readonly bits: number; readonly layers: readonly LayerAccumulation[] };
  /** With its layers on tiles; null unless both profiles have a model of it. */
  readonly energy: EnergyReport | null;
  /** What brings an accelerator that has aged since its calibration back, from the cheapest step to the dearest. */
  readonly recovery: readonly RecoveryStep[];
}

export interface LinkCost {
  /** On the wire, there and back. */
  readonly linkBytes: number;
  /** That these take at the profile's baud rate; a byte is ten bits. */
  readonly linkSeconds: number;
  /** Of this machine, the emulated device included. */
  readonly seconds: number;
}

export interface FitCost extends LinkCost {
  /** Of these, what is computed here and not on the device. */
  readonly fitSeconds: number;
}

export interface RecoveryStep extends LinkCost {
  readonly step: string;
  readonly score: Score;
  /** What it takes besides the steps before: calibration samples, vectors through tiles, tiles programmed. */
  readonly samples: number;
  readonly products: number;
  readonly programs: number;
  /** What the low rank adds to each inference from then on, per cent of the multiplications on the tiles. */
  readonly extraMacsPct: number;
}

export interface ParetoPoint {
  readonly bitsPerWeight: number;
  /** Of all that is stored. */
  readonly weightBytes: number;
  readonly score: Score;
}

export interface GateReport {
  readonly highBits: number;
  /** Thresholds that change no answer. */
  readonly safe: GatedScore;
  /** Quantiles, as high as the budget allows; `share` is that of the outputs that they hold back. */
  readonly budget: GatedScore & { readonly share: number };
}

export interface GatedScore {
  readonly score: Score;
  /** Shares of outputs, and of vectors without any output, that needed no low bits. */
  readonly layers: readonly { readonly layer: string; readonly sparsity: number; readonly vectorSparsity: number }[];
  /** Products of single bits that need not be computed, of all in the gated layers: output by output, by vectors. */
  readonly savedPct: number;
  readonly savedByVectorsPct: number;
}

/** Gates on an accelerator that reads its inputs bit plane by bit plane. */
export interface TileGateReport {
  readonly highBits: number;
  /** All measured samples without gates. */
  readonly whole: LinkCost & { readonly score: Score };
  /** Thresholds that change no answer of tiles without noise. */
  readonly safe: TileGateScore;
  readonly budget: TileGateScore & { readonly share: number };
}

export interface TileGateScore extends LinkCost {
  readonly score: Score;
  /** Shares of outputs that needed no low bits, and of input planes in tiles that were not read. */
  readonly layers: readonly { readonly layer: string; readonly sparsity: number; readonly skippedPlanes: number }[];
  /** Of all input planes in the gated layers' tiles that are not empty. */
  readonly savedPlanesPct: number;
  /** Negative where more passes the link than without gates: what is sent in two parts has codes in both. */
  readonly savedLinkPct: number;
}
