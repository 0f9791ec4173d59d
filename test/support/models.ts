import { fuseResiduals } from "../../runtime/model/fuse.ts";
import { type Clamp, type Graph, isLayer, NO_CLAMP, type Node, RELU } from "../../runtime/model/graph.ts";
import type { FloatModel } from "../../runtime/model/stages.ts";
import { normals } from "./random.ts";

const square = (
  kernel: number,
  stride = 1,
): {
  kernel: [number, number];
  stride: [number, number];
  dilation: [number, number];
  pads: [number, number, number, number];
} => {
  const pad = (kernel - 1) / 2;
  return { kernel: [kernel, kernel], stride: [stride, stride], dilation: [1, 1], pads: [pad, pad, pad, pad] };
};

const conv = (
  name: string,
  input: string,
  shape: number[],
  rows: number,
  kernel: number,
  clamp: Clamp,
  stride = 1,
): Node => ({
  op: "conv2d",
  name,
  inputs: [input],
  shape,
  rows,
  columns: shape[3],
  clamp,
  ...square(kernel, stride),
});

const depthwise = (name: string, input: string, shape: number[]): Node => ({
  op: "depthwise",
  name,
  inputs: [input],
  shape,
  rows: 9,
  columns: shape[3],
  clamp: RELU,
  ...square(3),
});

/** A network with everything that the calibration treats differently: residual, depthwise, pool, dense, softmax. */
export const residualGraph: Graph = fuseResiduals({
  name: "residual",
  input: { name: "x", shape: [1, 8, 8, 3] },
  output: "answer",
  nodes: [
    conv("stem", "x", [1, 8, 8, 16], 27, 3, RELU),
    depthwise("depth", "stem", [1, 8, 8, 16]),
    conv("point", "depth", [1, 8, 8, 16], 16, 1, NO_CLAMP),
    { op: "add", name: "sum", inputs: ["stem", "point"], shape: [1, 8, 8, 16], clamp: RELU },
    conv("wide", "sum", [1, 4, 4, 32], 144, 3, RELU, 2),
    {
      ...square(4),
      op: "average-pool",
      name: "mean",
      inputs: ["wide"],
      shape: [1, 1, 1, 32],
      pads: [0, 0, 0, 0],
      countPadding: false,
    },
    { op: "reshape", name: "flat", inputs: ["mean"], shape: [1, 32] },
    { op: "dense", name: "logits", inputs: ["flat"], shape: [1, 10], rows: 32, columns: 10, clamp: NO_CLAMP },
    { op: "softmax", name: "answer", inputs: ["logits"], shape: [1, 10] },
  ],
});

/** A separable block: what a depthwise layer reads, and what a convolution reads. */
export const separableGraph: Graph = {
  name: "separable",
  input: { name: "x", shape: [1, 8, 8, 3] },
  output: "point",
  nodes: [
    conv("stem", "x", [1, 8, 8, 8], 27, 3, RELU),
    depthwise("depth", "stem", [1, 8, 8, 8]),
    conv("point", "depth", [1, 8, 8, 8], 8, 1, NO_CLAMP),
  ],
};

/** Gaussian weights, scaled as a trained network's: each layer keeps the variance of its input. */
export function randomModel(graph: Graph, seed: number): FloatModel {
  const weights = new Map(
    graph.nodes.filter(isLayer).map(({ name, rows, columns }, i) => [
      name,
      {
        weights: normals(rows * columns, seed + i).map((w) => w * Math.sqrt(2 / rows)),
        bias: normals(columns, seed + 100 + i).map((b) => b * 0.1),
      },
    ]),
  );
  return { stage: "float", source: { format: "onnx", version: 13 }, graph, weights };
}
