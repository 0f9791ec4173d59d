import { entry } from "../../runtime/base/entry.ts";
import {
  type Clamp,
  type Conv2d,
  type Depthwise,
  type Graph,
  type Node,
  type Pool,
  shapeOf,
} from "../../runtime/model/graph.ts";
import type { FloatModel, FloatWeights } from "../../runtime/model/stages.ts";
import { sizeOf } from "../../runtime/tensor/tensor.ts";

/** A float model in plain loops, straight from the definitions in graph.ts: every value on every sample, by name. */
export function naive(model: FloatModel, inputs: Float32Array, samples: number): Map<string, Float32Array> {
  const { graph } = model;
  const values = new Map([[graph.input.name, inputs]]);
  for (const node of graph.nodes) {
    const size = sizeOf(node.shape);
    const out = new Float32Array(size * samples);
    for (let s = 0; s < samples; s++) {
      const of = (value: string): Float32Array => {
        const length = sizeOf(shapeOf(graph, value));
        return entry(values, value).subarray(s * length, (s + 1) * length);
      };
      out.set(evaluate(node, graph, node.inputs.map(of), model.weights.get(node.name)), s * size);
    }
    values.set(node.name, out);
  }
  return values;
}

function evaluate(node: Node, graph: Graph, [x, second]: Float32Array[], float?: FloatWeights): Float32Array {
  const { weights, bias } = float ?? { weights: new Float32Array(), bias: new Float32Array() };
  switch (node.op) {
    case "conv2d":
      return windowed(node, graph, (at, channel, inside) => {
        const channels = node.rows / (node.kernel[0] * node.kernel[1]);
        let sum = 0;
        for (let c = 0; c < channels; c++)
          sum += x[inside * channels + c] * weights[(at * channels + c) * node.columns + channel];
        return sum;
      }).map((y, i) => clamped(y + bias[i % node.columns] + (second?.[i] ?? 0), node.clamp));
    case "depthwise":
      return windowed(
        node,
        graph,
        (at, c, inside) => x[inside * node.columns + c] * weights[at * node.columns + c],
      ).map((y, i) => clamped(y + bias[i % node.columns], node.clamp));
    case "dense":
      return Float32Array.from({ length: sizeOf(node.shape) }, (_, i) => {
        const from = Math.floor(i / node.columns) * node.rows;
        let sum = bias[i % node.columns];
        for (let k = 0; k < node.rows; k++) sum += x[from + k] * weights[k * node.columns + (i % node.columns)];
        return clamped(sum + (second?.[i] ?? 0), node.clamp);
      });
    case "add":
      return x.map((a, i) => clamped(a + second[i], node.clamp));
    case "average-pool": {
      const channels = node.shape[3];
      const area = node.kernel[0] * node.kernel[1];
      return windowed(node, graph, (_at, c, inside) => x[inside * channels + c] / area);
    }
    case "reshape":
      return x;
    case "softmax": {
      const largest = x.reduce((a, b) => Math.max(a, b));
      const powers = x.map((v) => Math.exp(v - largest));
      const sum = powers.reduce((a, b) => a + b);
      return powers.map((v) => v / sum);
    }
    default:
      throw new Error(`naive has no ${node.op}`);
  }
}

/** Sums `term(position in the window, output channel, position in the input)` over all positions inside the input. */
function windowed(
  node: Conv2d | Depthwise | Pool,
  graph: Graph,
  term: (at: number, channel: number, inside: number) => number,
): Float32Array {
  const [, height, width] = shapeOf(graph, node.inputs[0]);
  const [, , outWidth, channels] = node.shape;
  const [kh, kw] = node.kernel;
  return Float32Array.from({ length: sizeOf(node.shape) }, (_, i) => {
    const x = Math.floor(i / channels) % outWidth;
    const y = Math.floor(i / channels / outWidth);
    let sum = 0;
    for (let at = 0; at < kh * kw; at++) {
      const row = y * node.stride[0] - node.pads[0] + Math.floor(at / kw) * node.dilation[0];
      const column = x * node.stride[1] - node.pads[1] + (at % kw) * node.dilation[1];
      if (row >= 0 && row < height && column >= 0 && column < width)
        sum += term(at, i % channels, row * width + column);
    }
    return sum;
  });
}

function clamped(y: number, { min, max }: Clamp): number {
  return Math.min(max, Math.max(min, y));
}
