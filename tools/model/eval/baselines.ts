import { entry } from "../../../runtime/base/entry.ts";
import { isMatmul, type Layer, shapeOf } from "../../../runtime/model/graph.ts";
import { patchesOf, rowsOf, someRows } from "../../../runtime/model/patches.ts";
import type { LowRank, PolarizedLayer, PolarizedModel, QuantizedModel } from "../../../runtime/model/stages.ts";
import { type Calibration, uncorrected } from "../../../runtime/polarize/polarize.ts";
import { dequantizeMatrix } from "../../../runtime/quantize/format.ts";
import { columnMeans, lowRank } from "../../../runtime/tensor/linear.ts";
import { nppStyle, rankWithin } from "./npp-style.ts";

/**
 * Low-rank corrections as others publish them, for comparison: codes rounded to the nearest, biases as they are, the
 * weight error replaced by a path of the same rank.
 */
export interface Baseline {
  readonly name: string;
  readonly source: string;
  correct(model: QuantizedModel, calibration: Calibration): Promise<PolarizedModel>;
}

/** @param error W - Wq, rows x columns; @param inputs what the float layer sees, count x rows */
type Factor = (error: Float64Array, inputs: Float32Array, shape: Shape) => LowRank;

interface Shape {
  readonly rows: number;
  readonly columns: number;
  readonly rank: number;
}

export const baselines: readonly Baseline[] = [
  {
    name: "SVD",
    source: "LoRC, arXiv 2303.08302",
    correct: layerwise((error, _, shape) => weighted(error, shape, () => 1)),
  },
  {
    name: "LQER",
    source: "arXiv 2402.02446: rows of E scaled by the mean magnitude of their input",
    correct: layerwise((error, inputs, shape) => {
      const means = columnMeans(inputs.map(Math.abs), inputs.length / shape.rows, shape.rows);
      return weighted(error, shape, (row) => means[row] ** 2);
    }),
  },
  {
    name: "QERA-approx",
    source: "arXiv 2410.06040: rows of E scaled by the root mean square of their input",
    correct: layerwise((error, inputs, shape) => {
      const squares = columnMeans(
        inputs.map((x) => x * x),
        inputs.length / shape.rows,
        shape.rows,
      );
      return weighted(error, shape, (row) => squares[row]);
    }),
  },
  { name: "NPP-style", source: "after arXiv 2411.05845: trained from zero (npp-style.ts)", correct: nppStyle },
];

/** Every layer that is a matrix product gets a path; the rest stays as quantized. */
function layerwise(factor: Factor): Baseline["correct"] {
  return async (model, calibration) => {
    const plain = uncorrected(model);
    const layers = new Map(plain.layers);
    for (const node of model.graph.nodes) {
      if (!isMatmul(node)) continue;
      const layer = entry(plain.layers, node.name);
      layers.set(node.name, withPath(layer, pathOf(factor, node, layer, calibration)));
    }
    return { ...plain, layers };
  };
}

function pathOf(factor: Factor, layer: Layer, { matrix }: PolarizedLayer, calibration: Calibration): LowRank {
  const { float, observed, samples } = calibration;
  const [input] = layer.inputs;
  const patches = patchesOf(layer, shapeOf(float.graph, input), samples);
  const inputs = rowsOf(patches, someRows(patches.count), entry(observed, input), 0);
  const quantized = dequantizeMatrix(matrix);
  const error = Float64Array.from(entry(float.weights, layer.name).weights, (w, i) => w - quantized[i]);
  const { rows, columns } = layer;
  return factor(error, inputs, { rows, columns, rank: Math.min(calibration.rank, rankWithin(layer)) });
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
