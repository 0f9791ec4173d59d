import type { EnergyProfile } from "../../device-profiles/device.ts";
import { entry } from "../base/entry.ts";
import type { LoadKernels } from "../kernels/kernels.ts";
import { isLayer, isMatmul, type Layer } from "../model/graph.ts";
import type {
  Correction,
  FloatModel,
  PolarizedLayer,
  PolarizedModel,
  QuantizedLayer,
  QuantizedModel,
  RoundingName,
} from "../model/stages.ts";
import type { MatmulUnit } from "../plan/unit.ts";
import { dequantizeMatrix } from "../quantize/format.ts";
import { roundingOrder } from "../quantize/gptq.ts";
import type { Mix } from "../quantize/quantize.ts";
import { roundMatrix } from "../quantize/rounding.ts";
import { product } from "../tensor/products.ts";
import { accepted } from "./acceptance.ts";
import { remembered } from "./levels.ts";
import { errorLeft } from "./observations.ts";
import { type ChannelSight, observeDepthwise, observeMatmul, type Sight, vectorsOf } from "./observe.ts";
import { Replay } from "./replay.ts";
import { correctChannels, correctColumns, correctKnown, correctUnknown, idealOf, inheritedBy } from "./surrogate.ts";

/**
 * Neural Precision Polarization on the device (after arXiv 2411.05845): the main path stays at very low precision,
 * digital or analog, and a low-rank path at high precision gives back what that costs. Closed form, layer by layer in
 * the order of the graph, each layer fitted on the inputs that it will really get after the corrected layers before it
 * and towards what the float model says: bias first (and gain, where the main path is analog or depthwise), then the
 * low rank. A few unlabeled samples are enough.
 */
export interface Calibration {
  readonly float: FloatModel;
  /** Values of the float model on the samples: the input and every node, by name. */
  readonly observed: ReadonlyMap<string, Float32Array>;
  readonly samples: number;
  /** Of the surrogate paths; 0 corrects gain and bias only. */
  readonly rank: number;
  /** How far ranks may grow on a drifted accelerator: what a path may take of its layer's own multiplications. */
  readonly macsShare?: number | undefined;
  /**
   * An accelerator's layer with more relative error than this after its correction is left to the digital kernels. Left
   * out: none is.
   */
  readonly digitalAbove?: number | undefined;
  /** Overrides the rank of the digital path for the layers that it names. */
  readonly mix?: Mix | undefined;
  /** By which a budget of energy is counted. */
  readonly energy?: EnergyProfile | undefined;
  /** Of the weights to codes; gptq if absent. */
  readonly rounding?: RoundingName | undefined;
  /** Of distillation after the closed form, at most (distill/distill.ts). Left out: none. */
  readonly distillSteps?: number | undefined;
  readonly kernels: LoadKernels;
  /** Called before each layer. */
  readonly onLayer?: ((layer: string, done: number, of: number) => void) | undefined;
  /** Told of layers that an accelerator gets so wrong that they are computed digitally, and how wrong (relative RMS). */
  readonly onReturned?: ((layer: string, error: number) => void) | undefined;
}

/**
 * Rounds and corrects every layer for its digital main path. Codes are chosen again, in the formats that the model has:
 * under the inputs that the layer really gets, for weights that make good what earlier layers got wrong (GPTAQ,
 * arXiv 2504.02692), so that the low rank is left for what rounding costs. (Images: KL at two bits .102 -> .089.)
 */
export function polarize(model: QuantizedModel, calibration: Calibration): PolarizedModel {
  const replay = replayOf(model, calibration);
  const layers = new Map<string, PolarizedLayer>();
  const count = model.graph.nodes.filter(isLayer).length;
  for (const node of model.graph.nodes) {
    if (isLayer(node)) {
      calibration.onLayer?.(node.name, layers.size, count);
      const lowered = correctDigital(node, entry(model.layers, node.name), calibration, replay);
      layers.set(node.name, { ...lowered, accelerator: undefined });
    }
    replay.advance(node, layers.get(node.name));
  }
  return { stage: "polarized", graph: model.graph, ranges: model.ranges, layers, accelerator: undefined };
}

/** The model as quantized, nothing corrected: what polarize is measured against. */
export function uncorrected(model: QuantizedModel): PolarizedModel {
  const layers = [...model.layers].map(([name, { format, matrix, bias }]): [string, PolarizedLayer] => {
    const gain = new Float32Array(bias.length).fill(1);
    return [name, { format, matrix, digital: { gain, bias, surrogate: undefined }, accelerator: undefined }];
  });
  return {
    stage: "polarized",
    graph: model.graph,
    ranges: model.ranges,
    layers: new Map(layers),
    accelerator: undefined,
  };
}

/**
 * What is fitted of a drifted accelerator's corrections: gain and offset of each column, the low rank as well, or a higher
 * one where the error asks for it.
 */
export type Refit = "columns" | "all" | "grown";

/**
 * Corrects the layers that `unit` holds for the products that it really answers. The digital corrections stay as they
 * are, for layers that the unit does not hold, for those that no correction recovers, and for when it fails.
 * @param refit "columns" keeps the low-rank paths that `model` has for the accelerator
 * @throws Failure bridge/... when the unit stops answering; nothing has changed then
 */
export async function polarizeAccelerator(
  model: PolarizedModel,
  calibration: Calibration,
  unit: MatmulUnit,
  refit: Refit = "all",
): Promise<PolarizedModel> {
  const replay = replayOf(model, calibration);
  const layers = new Map(model.layers);
  const { digitalAbove = Number.POSITIVE_INFINITY } = calibration;
  let done = 0;
  for (const node of model.graph.nodes) {
    if (!isMatmul(node) || !unit.layers.has(node.name)) {
      replay.advance(node, layers.get(node.name));
      continue;
    }
    calibration.onLayer?.(node.name, done++, unit.layers.size);
    const { vectors, count } = vectorsOf(node, model.graph, replay);
    const products = await unit.multiply(node.name, vectors, count);
    const { sight, answers } = observeAnalog(node, products, calibration, replay);
    const kept = entry(layers, node.name).accelerator;
    const accelerator =
      kept && refit === "columns"
        ? correctColumns(sight, answers, kept.surrogate)
        : correctUnknown(
            sight,
            answers,
            entry(calibration.float.weights, node.name).weights,
            await unit.nominal(node.name),
            refit === "grown" ? grownRank(node, calibration) : calibration.rank,
          );
    const error = errorLeft(sight, answers, accelerator);
    if (error > digitalAbove) {
      calibration.onReturned?.(node.name, error);
      layers.set(node.name, { ...entry(layers, node.name), accelerator: undefined });
      replay.advance(node, layers.get(node.name));
      continue;
    }
    layers.set(node.name, { ...entry(layers, node.name), accelerator });
    replay.advanceWith(node, accelerator, vectors, products);
  }
  const levels = remembered(model, unit, layers);
  return { ...model, layers, accelerator: { uid: unit.uid, ...(levels.length > 0 && { levels }) } };
}

/** A path of rank r takes r (rows + columns) multiplications for each vector, the layer itself rows x columns. */
function grownRank({ rows, columns }: Layer, { rank, macsShare = 0 }: Calibration): number {
  return Math.max(rank, Math.floor((macsShare * rows * columns) / (rows + columns)));
}

/** The accelerator's answers taken at face value: what polarizeAccelerator is measured against. */
export async function uncorrectedAccelerator(
  model: PolarizedModel,
  float: FloatModel,
  unit: MatmulUnit,
): Promise<PolarizedModel> {
  const layers = new Map(model.layers);
  for (const node of model.graph.nodes) {
    if (!isMatmul(node) || !unit.layers.has(node.name)) continue;
    const { scale, zeroPoint } = entry(model.ranges, node.inputs[0]);
    const bias = Float32Array.from(entry(float.weights, node.name).bias);
    const nominal = await unit.nominal(node.name);
    for (const [i, w] of nominal.entries()) bias[i % node.columns] -= scale * zeroPoint * w;
    const accelerator = { gain: new Float32Array(node.columns).fill(1), bias, surrogate: undefined };
    layers.set(node.name, { ...entry(layers, node.name), accelerator });
  }
  return { ...model, layers, accelerator: { uid: unit.uid } };
}

/** With a surrogate if that answers better on samples that were held back, with a bias alone if that does, or as it is. */
function correctDigital(
  layer: Layer,
  { format, matrix }: QuantizedLayer,
  calibration: Calibration,
  replay: Replay,
): Omit<PolarizedLayer, "accelerator"> {
  const { weights, bias } = entry(calibration.float.weights, layer.name);
  const truth = { graph: calibration.float.graph, observed: calibration.observed };
  const none = { gain: new Float32Array(layer.columns).fill(1), bias, surrogate: undefined };
  if (layer.op === "depthwise") {
    const sight = observeDepthwise(layer, { weights, bias }, dequantizeMatrix(matrix), truth, replay);
    const errorOf = (seen: ChannelSight, correction: Correction): number => errorLeft(seen, seen.answers, correction);
    const digital = accepted(sight, [(seen) => correctChannels(seen, seen.answers, bias), () => none], errorOf);
    return { format, matrix, digital, error: errorOf(sight, digital) };
  }
  const { rank = calibration.rank, pruned = [] } = calibration.mix?.get(layer.name) ?? {};
  const sight = observeMatmul(layer, { weights, bias }, truth, replay);
  const inherited = inheritedBy(sight, weights, bias);
  const order = roundingOrder(inherited.moments, layer.rows, sight.count);
  const ideal = idealOf(sight, weights, inherited);
  const { columns } = layer;
  const { rounding } = calibration;
  const { matrix: rounded } = roundMatrix(format, ideal, columns, matrix.blockLength, order, rank, {
    rounding,
    pruned,
  });
  const quantized = dequantizeMatrix(rounded);
  const ranks = rank > 0 ? [rank, 0] : [0];
  const fits = ranks.map((r) => (seen: Sight) => {
    return correctKnown(seen, weights, quantized, bias, r, seen === sight ? inherited : undefined);
  });
  const errorOf = (seen: Sight, correction: Correction): number =>
    errorLeft(seen, product(seen.inputs, quantized, seen.count, seen.rows, seen.columns), correction);
  const digital = accepted(sight, [...fits, () => none], errorOf);
  return { format, matrix: rounded, digital, error: errorOf(sight, digital) };
}

/** What a layer sees and should answer, and what the accelerator answers: count x columns, in real numbers. */
function observeAnalog(
  layer: Layer,
  products: Float32Array,
  calibration: Calibration,
  replay: Replay,
): { readonly sight: Sight; readonly answers: Float32Array } {
  const float = entry(calibration.float.weights, layer.name);
  const truth = { graph: calibration.float.graph, observed: calibration.observed };
  const sight = observeMatmul(layer, float, truth, replay);
  const { scale } = replay.range(layer.inputs[0]);
  const { columns } = layer;
  const answers = new Float32Array(sight.count * columns);
  for (const [i, row] of sight.looked.entries()) {
    for (let j = 0; j < columns; j++) answers[i * columns + j] = scale * products[row * columns + j];
  }
  return { sight, answers };
}

export function replayOf(model: Pick<QuantizedModel, "graph" | "ranges">, calibration: Calibration): Replay {
  return new Replay(
    model,
    calibration.kernels,
    entry(calibration.observed, model.graph.input.name),
    calibration.samples,
  );
}
