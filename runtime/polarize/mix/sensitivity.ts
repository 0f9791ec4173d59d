import { entry } from "../../base/entry.ts";
import { openTeacher } from "../../kernels/float.ts";
import { isLayer, isMixing, type Layer } from "../../model/graph.ts";
import type { FloatWeights, FormatName } from "../../model/stages.ts";
import { correctionBytes } from "../../plan/weight-bytes.ts";
import type { Rounded } from "../../quantize/alternate.ts";
import { dequantizeMatrix, quantizeMatrix, storedBytes } from "../../quantize/format.ts";
import { formats } from "../../quantize/formats.ts";
import { type RoundingOrder, roundingOrder } from "../../quantize/gptq.ts";
import { cleared, weakestColumns } from "../../quantize/pruning.ts";
import { type InputStatistics, inputMeans, inputsOf, type QuantizationPolicy } from "../../quantize/quantize.ts";
import { roundMatrix } from "../../quantize/rounding.ts";
import { lowRank } from "../../tensor/linear.ts";
import { product } from "../../tensor/products.ts";
import { divergence, logitsOf } from "../divergence.ts";
import type { Calibration } from "../polarize.ts";
import { subset } from "../subset.ts";

/** One way to store a layer, and what it does to the model. */
export interface LayerOption {
  readonly layer: string;
  readonly format: FormatName;
  readonly blockLength: number;
  readonly rank: number;
  /** Columns of no bits (quantize/pruning.ts). */
  readonly pruned: readonly number[];
  /** Of codes and scales. */
  readonly weightBits: number;
  /** Of all that is stored for the layer: codes, scales, gain, bias, low-rank factors. */
  readonly bytes: number;
  /** Of the model's answers from the float model's (divergence.ts), when only this layer is stored so. */
  readonly loss: number;
}

/** Formats worth a trial: of those with as many bits, the others are never better on the networks we have measured. */
const FORMATS: readonly FormatName[] = ["int8", "nf4", "int4", "nf3", "int3", "int2"];
/** Depthwise layers have no surrogate that makes good what fewer bits cost. */
const DEPTHWISE_FORMATS: readonly FormatName[] = ["int8", "nf4", "int4"];
/** One scale per column. */
const WHOLE = 65536;

/**
 * Of a layer's columns that a trial leaves out, as far as the highest rank goes: the path carries as many. (Expected loss
 * at 3.5 bits with such trials: keywords .0069 -> .0053, images .0249 -> .0119; twice as many gain no more.)
 */
const PRUNED = 0.25;
/** A smaller share of them saves too little for a trial. */
const LEAST_PRUNED = 0.125;
/** Of choosing coarse codes with their surrogate: fewer than the final choice takes tell options apart as well. */
const TURNS = 2;

/**
 * How much each layer minds each format and rank: the model's answers with only this layer quantized and corrected in
 * closed form, on samples that the layer was not fitted to. This is ALPS (arXiv 2301.13330) without its training: a
 * corrected layer is again a layer, with the weights Wq + A B, so the float model itself answers.
 * @param ranks that are offered, ascending
 */
export async function sensitivities(
  calibration: Calibration,
  policy: QuantizationPolicy,
  ranks: readonly number[],
): Promise<LayerOption[][]> {
  const folds = foldsOf(calibration);
  const groups: LayerOption[][] = [];
  const layers = calibration.float.graph.nodes.filter(isLayer);
  for (const layer of layers) {
    calibration.onLayer?.(layer.name, groups.length, layers.length);
    const trials: LayerOption[][] = [];
    for (const fold of folds) trials.push(await tried(layer, fold, policy, ranks));
    groups.push(trials[0].map((option, i) => ({ ...option, loss: meanOf(trials.map((trial) => trial[i].loss)) })));
  }
  return groups;
}

/** Samples to fit to, and others to judge by. */
interface Fold {
  readonly fitted: Calibration;
  readonly judged: Calibration;
}

/**
 * Each half judges what the other was fitted to. A layer behind a pooling sees one vector per sample, so its path learns
 * all of them by heart and seems to need no bits. (Images at 4 bits, judged by what was fitted to: KL .032 for .013.)
 */
function foldsOf(calibration: Calibration): Fold[] {
  const { samples } = calibration;
  const half = samples >> 1;
  if (half === 0) return [{ fitted: calibration, judged: calibration }];
  const [first, second] = [subset(calibration, 0, half), subset(calibration, half, samples)];
  return [
    { fitted: first, judged: second },
    { fitted: second, judged: first },
  ];
}

async function tried(
  layer: Layer,
  { fitted, judged }: Fold,
  policy: QuantizationPolicy,
  ranks: readonly number[],
): Promise<LayerOption[]> {
  const { graph } = fitted.float;
  const truth = entry(judged.observed, logitsOf(graph));
  const candidates = isMixing(layer)
    ? matmulCandidates(layer, fitted, policy, ranks)
    : depthwiseCandidates(layer, fitted, policy);
  const options: LayerOption[] = [];
  for (const { option, weights } of candidates) {
    const answers = await answersWith(layer, weights, judged);
    options.push({ ...option, loss: divergence(graph, truth, answers, judged.samples) });
  }
  return options;
}

function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

interface Candidate {
  readonly option: Omit<LayerOption, "loss">;
  /** What the layer then multiplies by and adds. */
  readonly weights: FloatWeights;
}

function* matmulCandidates(
  layer: Layer,
  { float, observed }: Calibration,
  policy: QuantizationPolicy,
  ranks: readonly number[],
): Generator<Candidate> {
  const weights = entry(float.weights, layer.name);
  const inputs = inputsOf(float.graph, layer, observed);
  const order = roundingOrder(inputs.moments, layer.rows);
  const most = Math.max(...ranks);
  const input = { means: inputs.means, metric: order.metric };
  const weakest = weakestColumns(weights.weights, layer.columns, order.metric, prunable(layer, most));
  for (const [format, blockLength] of waysToRound(layer, policy)) {
    const whole = roundMatrix(format, weights.weights, layer.columns, blockLength, order, most, { turns: TURNS });
    const some = weakest.length > 0 ? [{ matrix: cleared(whole.matrix, weakest) }] : [];
    for (const rounded of [whole, ...some]) {
      const pruned = rounded === whole ? [] : weakest;
      const weightBytes = storedBytes(formats[format], rounded.matrix);
      for (const { rank, corrected } of corrections(layer, weights, rounded, input, ranks)) {
        const bytes = weightBytes + correctionBytes(layer, rank);
        const option = { layer: layer.name, format, blockLength, rank, pruned, weightBits: 8 * weightBytes, bytes };
        yield { option, weights: corrected };
      }
    }
  }
}

function prunable({ columns }: Layer, rank: number): number {
  const count = Math.min(rank, Math.floor(PRUNED * columns));
  return count < LEAST_PRUNED * columns ? 0 : count;
}

/** Its bias takes the mean of what rounding changes. */
function* depthwiseCandidates(
  layer: Layer,
  { float, observed }: Calibration,
  policy: QuantizationPolicy,
): Generator<Candidate> {
  const { weights, bias } = entry(float.weights, layer.name);
  const means = inputMeans(float.graph, layer, observed);
  for (const [format, blockLength] of waysToRound(layer, policy)) {
    const matrix = quantizeMatrix(formats[format], weights, layer.columns, blockLength);
    const quantized = dequantizeMatrix(matrix);
    const moved = Float32Array.from(bias);
    for (const [i, mean] of means.entries()) moved[i % layer.columns] += mean * (weights[i] - quantized[i]);
    const weightBytes = storedBytes(formats[format], matrix);
    const bytes = weightBytes + correctionBytes(layer, 0);
    const option = { layer: layer.name, format, blockLength, rank: 0, pruned: [], weightBits: 8 * weightBytes, bytes };
    yield { option, weights: { weights: quantized, bias: moved } };
  }
}

/** Formats with block lengths: the policy's, and one scale per column where that is another. */
export function waysToRound(layer: Layer, { blockLength }: QuantizationPolicy): [FormatName, number][] {
  const names = isMixing(layer) ? FORMATS : DEPTHWISE_FORMATS;
  return names.flatMap((format) => {
    const lengths = formats[format].blocked && layer.rows > blockLength ? [blockLength, WHOLE] : [blockLength];
    return lengths.map((length): [FormatName, number] => [format, length]);
  });
}

interface Corrected {
  readonly rank: number;
  readonly corrected: FloatWeights;
}

/** The layer with its error E taken back by paths of several ranks, and the mean of what is left by the bias. */
function* corrections(
  layer: Layer,
  float: FloatWeights,
  rounded: Rounded,
  { means, metric }: Pick<InputStatistics, "means"> & Pick<RoundingOrder, "metric">,
  ranks: readonly number[],
): Generator<Corrected> {
  const { rows, columns } = layer;
  const { weights, bias } = float;
  const quantized = dequantizeMatrix(rounded.matrix);
  const error = Float64Array.from(weights, (w, i) => w - quantized[i]);
  const { a, b, rank: found } = rounded.path ?? lowRank(error, metric, rows, columns, Math.max(...ranks));
  for (const rank of new Set(ranks.map((rank) => Math.min(rank, found)))) {
    const first = a.filter((_, i) => i % found < rank);
    const path = product(first, b.subarray(0, rank * columns), rows, rank, columns);
    const corrected = quantized.map((w, i) => w + path[i]);
    const left = product(
      means,
      error.map((e, i) => e - path[i]),
      1,
      rows,
      columns,
    );
    yield { rank, corrected: { weights: corrected, bias: bias.map((value, j) => value + left[j]) } };
  }
}

/**
 * What the float model answers with other weights in one layer, as at logitsOf. Only what follows the layer is computed:
 * what stands before it in the graph is as the float model has it.
 */
export async function answersWith(
  layer: Layer,
  weights: FloatWeights,
  { float, observed, samples }: Calibration,
): Promise<Float32Array> {
  const teacher = await openTeacher({ ...float, weights: new Map(float.weights).set(layer.name, weights) });
  const { input, nodes } = float.graph;
  const before = [input, ...nodes.slice(0, nodes.indexOf(layer))];
  try {
    const known = new Map(before.map(({ name }) => [name, entry(observed, name)]));
    return await teacher.runFrom(known, samples, logitsOf(float.graph));
  } finally {
    teacher.close();
  }
}
