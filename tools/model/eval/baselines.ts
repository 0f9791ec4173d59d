import { entry } from "../../../runtime/base/entry.ts";
import { gaussian } from "../../../runtime/base/random.ts";
import { isMatmul, type Layer, shapeOf } from "../../../runtime/model/graph.ts";
import { patchesOf, rowsOf, someRows } from "../../../runtime/model/patches.ts";
import type { LowRank, PolarizedLayer, PolarizedModel, QuantizedModel } from "../../../runtime/model/stages.ts";
import { type Calibration, uncorrected } from "../../../runtime/polarize/polarize.ts";
import { dequantizeMatrix } from "../../../runtime/quantize/format.ts";
import { columnMeans, lowRank } from "../../../runtime/tensor/linear.ts";
import { crossProduct, product, secondMoment } from "../../../runtime/tensor/products.ts";

/**
 * Low-rank corrections as others publish them, for comparison: codes rounded to the nearest, biases as they are, the
 * weight error E replaced by a path of the same rank.
 */
export interface Baseline {
  readonly name: string;
  readonly source: string;
  /** @param error W - Wq, rows x columns; @param inputs what the float layer sees, count x rows */
  fit(error: Float64Array, inputs: Float32Array, shape: Shape): LowRank;
}

interface Shape {
  readonly rows: number;
  readonly columns: number;
  readonly rank: number;
}

export const baselines: readonly Baseline[] = [
  { name: "SVD", source: "LoRC, arXiv 2303.08302", fit: (error, _, shape) => weighted(error, shape, () => 1) },
  {
    name: "LQER",
    source: "arXiv 2402.02446: rows of E scaled by the mean magnitude of their input",
    fit(error, inputs, shape) {
      const means = columnMeans(inputs.map(Math.abs), inputs.length / shape.rows, shape.rows);
      return weighted(error, shape, (row) => means[row] ** 2);
    },
  },
  {
    name: "QERA-approx",
    source: "arXiv 2410.06040: rows of E scaled by the root mean square of their input",
    fit(error, inputs, shape) {
      const squares = columnMeans(
        inputs.map((x) => x * x),
        inputs.length / shape.rows,
        shape.rows,
      );
      return weighted(error, shape, (row) => squares[row]);
    },
  },
  {
    name: "NPP-style",
    source: "after arXiv 2411.05845: A small and random, B zero, trained layer by layer (our re-implementation)",
    fit: (error, inputs, shape) => trained(error, secondMoment(inputs, inputs.length / shape.rows, shape.rows), shape),
  },
];

/** Every layer that is a matrix product corrected by a baseline; the rest as quantized. */
export function correctedBy(baseline: Baseline, model: QuantizedModel, calibration: Calibration): PolarizedModel {
  const plain = uncorrected(model);
  const layers = new Map(plain.layers);
  for (const node of model.graph.nodes) {
    if (!isMatmul(node)) continue;
    const layer = entry(plain.layers, node.name);
    layers.set(node.name, withPath(layer, pathOf(baseline, node, layer, calibration)));
  }
  return { ...plain, layers };
}

function pathOf(baseline: Baseline, layer: Layer, { matrix }: PolarizedLayer, calibration: Calibration): LowRank {
  const { float, observed, samples } = calibration;
  const [input] = layer.inputs;
  const patches = patchesOf(layer, shapeOf(float.graph, input), samples);
  const inputs = rowsOf(patches, someRows(patches.count), entry(observed, input), 0);
  const quantized = dequantizeMatrix(matrix);
  const error = Float64Array.from(entry(float.weights, layer.name).weights, (w, i) => w - quantized[i]);
  const { rows, columns } = layer;
  const most = Math.floor((rows * columns) / (rows + columns));
  return baseline.fit(error, inputs, { rows, columns, rank: Math.min(calibration.rank, most) });
}

function withPath(layer: PolarizedLayer, surrogate: LowRank): PolarizedLayer {
  return { ...layer, digital: { ...layer.digital, surrogate: surrogate.rank > 0 ? surrogate : undefined } };
}

/** The best path in the norm that weighs the rows of E. */
function weighted(error: Float64Array, { rows, columns, rank }: Shape, weight: (row: number) => number): LowRank {
  const metric = new Float64Array(rows * rows);
  for (let row = 0; row < rows; row++) metric[row * rows + row] = weight(row) + 1e-12;
  return lowRank(error, metric, rows, columns, rank);
}

const STEPS = 300;
/** Relative to what the factors have to become. */
const LEARNING_RATE = 0.02;

/** Adam (arXiv 1412.6980) on E||x (E - A B)||^2, all samples in each step, the rate falling as a cosine. */
function trained(error: Float64Array, moments: Float64Array, { rows, columns, rank }: Shape): LowRank {
  const normal = gaussian(1);
  const scale = 1 / Math.sqrt(rows);
  const a = new Float64Array(rows * rank).map(() => scale * normal());
  const b = new Float64Array(rank * columns);
  const power = Math.sqrt(error.reduce((sum, e) => sum + e * e, 0) / error.length);
  const [stepA, stepB] = [adam(a, scale), adam(b, (power * Math.sqrt(rows)) / Math.sqrt(Math.max(1, rank)))];
  for (let step = 0; step < STEPS; step++) {
    const path = product(a, b, rows, rank, columns);
    const pull = product(
      moments,
      path.map((p, i) => p - error[i]),
      rows,
      rows,
      columns,
    );
    const towardsB = crossProduct(a, pull, rows, rank, columns);
    const towardsA = product(pull, transposed(b, rank, columns), rows, columns, rank);
    const rate = (LEARNING_RATE / 2) * (1 + Math.cos((Math.PI * step) / STEPS));
    stepA(towardsA, rate);
    stepB(towardsB, rate);
  }
  return { rank, a: Float32Array.from(a), b: Float32Array.from(b) };
}

function adam(values: Float64Array, scale: number): (gradient: Float64Array, rate: number) => void {
  const mean = new Float64Array(values.length);
  const square = new Float64Array(values.length);
  let steps = 0;
  return (gradient, rate) => {
    steps++;
    for (const [i, g] of gradient.entries()) {
      mean[i] += 0.1 * (g - mean[i]);
      square[i] += 0.001 * (g * g - square[i]);
      const [m, s] = [mean[i] / (1 - 0.9 ** steps), square[i] / (1 - 0.999 ** steps)];
      values[i] -= (rate * scale * m) / (Math.sqrt(s) + 1e-30);
    }
  };
}

function transposed(x: Float64Array, rows: number, columns: number): Float64Array {
  return x.map((_, i) => x[(i % rows) * columns + Math.floor(i / rows)]);
}
