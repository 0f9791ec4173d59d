import { entry } from "../../../runtime/base/entry.ts";
import { gaussian } from "../../../runtime/base/random.ts";
import { isLayer, isMatmul, type Layer } from "../../../runtime/model/graph.ts";
import type { PolarizedModel, QuantizedModel } from "../../../runtime/model/stages.ts";
import { bestOf, divided } from "../../../runtime/polarize/distill/held-back.ts";
import { type Course, training } from "../../../runtime/polarize/distill/training.ts";
import { divergence, logitsOf } from "../../../runtime/polarize/divergence.ts";
import { answersWith } from "../../../runtime/polarize/mix/sensitivity.ts";
import { type Calibration, uncorrected } from "../../../runtime/polarize/polarize.ts";
import { dequantizeMatrix } from "../../../runtime/quantize/format.ts";

/** Of more than it takes: training ends where samples that are held back are answered no better for a while. */
const STEPS = 200;
const RATE = 6e-3;
/** Of the errors of all layers together, shared among them by sensitivity; the answers' divergence counts once. */
const FEATURES = 10;
const SEED = 1;

/**
 * Our re-implementation of Neural Precision Polarization's training (arXiv 2411.05845), whose formulas we could not read:
 * y = Q(x) Qw(W) + b + (x A) B with A small and normal and B zero, Adam on distillation, all layers together, each as
 * important as it is sensitive.
 */
export async function nppStyle(model: QuantizedModel, calibration: Calibration): Promise<PolarizedModel> {
  const start = withEmptyPaths(uncorrected(model), calibration.rank);
  const parts = await divided(calibration);
  if (!parts) return start;
  const weights = await sensitivities(model, calibration);
  const course: Course = { steps: STEPS, rate: RATE, parts: ["bias", "a", "b"], weights };
  return (await bestOf(start, training(start, parts.taught, course), parts.judge)).model;
}

/** Rise of the answers' divergence when only this layer is quantized, as shares. */
async function sensitivities(model: QuantizedModel, calibration: Calibration): Promise<Map<string, number>> {
  const { float, observed, samples } = calibration;
  const truth = entry(observed, logitsOf(float.graph));
  const rises = new Map<string, number>();
  for (const layer of float.graph.nodes.filter(isLayer)) {
    const { matrix, bias } = entry(model.layers, layer.name);
    const answers = await answersWith(layer, { weights: dequantizeMatrix(matrix), bias }, calibration);
    rises.set(layer.name, divergence(float.graph, truth, answers, samples));
  }
  const sum = [...rises.values()].reduce((total, rise) => total + rise, 0) || 1;
  return new Map([...rises].map(([name, rise]) => [name, (FEATURES * rise) / sum]));
}

function withEmptyPaths(model: PolarizedModel, rank: number): PolarizedModel {
  const normal = gaussian(SEED);
  const layers = new Map(model.layers);
  for (const { name, rows, columns } of model.graph.nodes.filter(isMatmul)) {
    const layer = entry(model.layers, name);
    const own = Math.min(rank, rankWithin({ rows, columns }));
    const a = new Float32Array(rows * own).map(() => normal() / Math.sqrt(rows));
    const surrogate = own > 0 ? { rank: own, a, b: new Float32Array(own * columns) } : undefined;
    layers.set(name, { ...layer, digital: { ...layer.digital, surrogate } });
  }
  return { ...model, layers };
}

/** With more a path takes more multiplications than its layer. */
export function rankWithin({ rows, columns }: Pick<Layer, "rows" | "columns">): number {
  return Math.floor((rows * columns) / (rows + columns));
}
