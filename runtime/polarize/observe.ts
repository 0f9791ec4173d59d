import { entry } from "../base/entry.ts";
import { factorOf, type Graph, type Layer, shapeOf } from "../model/graph.ts";
import { patchesOf, rowsOf, someRows } from "../model/patches.ts";
import { type FloatWeights, realOf } from "../model/stages.ts";
import { product } from "../tensor/products.ts";
import type { Observations } from "./observations.ts";
import { codesOf, type Replay } from "./replay.ts";

/** The float model's weights and its values on the calibration samples. */
export interface Truth {
  readonly graph: Graph;
  readonly observed: ReadonlyMap<string, Float32Array>;
}

/** What a layer sees in the replay, what it should answer, and which of all vectors were looked at. */
export interface Sight extends Observations {
  readonly looked: Int32Array;
}

/** Of a depthwise layer also what the quantized weights answer without bias, count x columns. */
export interface ChannelSight extends Sight {
  readonly answers: Float32Array;
}

/** For conv2d and dense: inputs as the quantized model has them, targets from the float model's inputs. */
export function observeMatmul(layer: Layer, float: FloatWeights, truth: Truth, replay: Replay): Sight {
  const { looked, inputs, floatInputs, length } = bothInputs(layer, truth, replay);
  const targets = withBias(product(floatInputs, float.weights, looked.length, length, layer.columns), float.bias);
  addResidualError(targets, layer, looked, truth, replay);
  return { rows: length, columns: layer.columns, count: looked.length, inputs, targets, looked };
}

export function observeDepthwise(
  layer: Layer,
  float: FloatWeights,
  quantized: Float32Array,
  truth: Truth,
  replay: Replay,
): ChannelSight {
  const { looked, inputs, floatInputs, length } = bothInputs(layer, truth, replay);
  const targets = withBias(perChannel(floatInputs, float.weights, looked.length, layer.columns), float.bias);
  const answers = Float32Array.from(perChannel(inputs, quantized, looked.length, layer.columns));
  return { rows: length, columns: layer.columns, count: looked.length, inputs, targets, looked, answers };
}

/** All input codes of a layer, one vector after the other. */
export function vectorsOf(layer: Layer, graph: Graph, replay: Replay): { vectors: Uint8Array; count: number } {
  const [input] = layer.inputs;
  const patches = patchesOf(layer, shapeOf(graph, input), replay.samples);
  const vectors = new Uint8Array(patches.count * patches.length);
  const { zeroPoint } = replay.range(input);
  for (let i = 0; i < patches.count; i++) patches.copy(i, replay.codes(input), zeroPoint, vectors, i * patches.length);
  return { vectors, count: patches.count };
}

function bothInputs(
  layer: Layer,
  { graph, observed }: Truth,
  replay: Replay,
): {
  looked: Int32Array;
  inputs: Float32Array;
  floatInputs: Float32Array;
  length: number;
} {
  const input = factorOf(layer);
  const float = entry(observed, input);
  const patches = patchesOf(layer, shapeOf(graph, input), replay.samples);
  const looked = someRows(patches.count);
  const range = replay.range(input);
  // What a recurrent layer will answer is not known before it is corrected: it is shown the float model's answers.
  const before = layer.op === "recurrence" ? codesOf(float, range) : replay.codes(input);
  return {
    looked,
    length: patches.length,
    inputs: rowsOf(patches, looked, realOf(before, range), 0),
    floatInputs: rowsOf(patches, looked, float, 0),
  };
}

/**
 * A layer that adds a residual can also make good what that branch got wrong so far: the error is added to its
 * targets. (Residual networks: worth about 1 pp of agreement at 4 bits.)
 */
function addResidualError(targets: Float32Array, layer: Layer, looked: Int32Array, truth: Truth, replay: Replay): void {
  const [, residual] = layer.inputs;
  if (residual === undefined) return;
  const float = entry(truth.observed, residual);
  const found = realOf(replay.codes(residual), replay.range(residual));
  for (const [i, row] of looked.entries()) {
    for (let j = 0; j < layer.columns; j++) {
      const at = row * layer.columns + j;
      targets[i * layer.columns + j] += float[at] - found[at];
    }
  }
}

/** Sum over the window's positions k of x[k, channel] * w[k, channel]. */
function perChannel(x: Float32Array, w: Float32Array, count: number, channels: number): Float64Array {
  const out = new Float64Array(count * channels);
  for (let i = 0; i < count; i++) {
    for (let c = 0; c < channels; c++) {
      let sum = 0;
      for (let k = c; k < w.length; k += channels) sum += x[i * w.length + k] * w[k];
      out[i * channels + c] = sum;
    }
  }
  return out;
}

function withBias(y: Float64Array, bias: Float32Array): Float32Array {
  const out = new Float32Array(y.length);
  for (let i = 0; i < y.length; i++) out[i] = y[i] + bias[i % bias.length];
  return out;
}
