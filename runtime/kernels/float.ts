import { setImmediate } from "node:timers/promises";
import { entry } from "../base/entry.ts";
import { Failure } from "../base/failure.ts";
import { type Clamp, type Graph, isLayer, type Layer, type Node, type Recurrence, shapeOf } from "../model/graph.ts";
import type { FloatModel } from "../model/stages.ts";
import type { FloatTeacher } from "../model/teacher.ts";
import { shapeText, sizeOf } from "../tensor/tensor.ts";
import { clamped, computed, image, type Pair, spatial } from "./float/operations.ts";
import { recurred } from "./float/recurrence.ts";
import { loadTfjs, type Tensor, type Tensor1D, type Tensor2D, type Tensor4D, type Tf } from "./float/tfjs.ts";

/** Floats of all values of one batch together: 16 MB. */
const BATCH_FLOATS = 2 ** 22;

interface LayerTensors {
  readonly weights: Tensor;
  readonly bias: Tensor1D;
}

/** Keeps the weights in the backend's memory until `close`. */
export async function openTeacher(model: FloatModel): Promise<FloatTeacher> {
  const tf = await loadTfjs();
  const layers = new Map<string, LayerTensors>();
  for (const node of model.graph.nodes) {
    if (isLayer(node)) layers.set(node.name, layerTensors(tf, node, model));
  }
  return {
    model,
    async run(inputs, count, taps = []) {
      checkRun(model, inputs, count, taps);
      const { input, output } = model.graph;
      const known = new Map([[input.name, inputs]]);
      const answers = await runBatches(tf, model, layers, known, count, new Set([output, ...taps]));
      return { output: entry(answers, output), taps: new Map(taps.map((value) => [value, entry(answers, value)])) };
    },
    async runFrom(known, count, wanted) {
      return entry(await runBatches(tf, model, layers, known, count, new Set([wanted])), wanted);
    },
    close() {
      for (const { weights, bias } of layers.values()) tf.dispose([weights, bias]);
      layers.clear();
    },
  };
}

function layerTensors(tf: Tf, node: Layer, model: FloatModel): LayerTensors {
  const layer = model.weights.get(node.name);
  if (!layer) throw new Failure("model/malformed", `layer ${node.name} has no weights`);
  return { weights: tf.tensor(layer.weights, weightShape(node)), bias: tf.tensor1d(layer.bias) };
}

/** As tfjs wants it; the graph's own order (graph.ts) is the same. */
export function weightShape(node: Layer): number[] {
  const { rows, columns } = node;
  if (node.op === "dense" || node.op === "recurrence") return [rows, columns];
  if (node.op === "depthwise") return [...node.kernel, columns, 1];
  return [...node.kernel, rows / (node.kernel[0] * node.kernel[1]), columns];
}

async function runBatches(
  tf: Tf,
  model: FloatModel,
  layers: ReadonlyMap<string, LayerTensors>,
  known: ReadonlyMap<string, Float32Array>,
  count: number,
  wanted: ReadonlySet<string>,
): Promise<Map<string, Float32Array>> {
  const { graph } = model;
  const lengthOf = (value: string): number => sizeOf(shapeOf(graph, value));
  const nodes = between(graph, known, wanted);
  const read = [...known].filter(([value]) => wanted.has(value) || nodes.some(({ inputs }) => inputs.includes(value)));
  const answers = new Map([...wanted].map((value) => [value, new Float32Array(count * lengthOf(value))]));
  const floatsPerSample = [...nodes.map(({ name }) => name), ...read.map(([value]) => value)].reduce(
    (sum, value) => sum + lengthOf(value),
    0,
  );
  const batch = Math.max(1, Math.floor(BATCH_FLOATS / floatsPerSample));
  for (let first = 0; first < count; first += batch) {
    const size = Math.min(batch, count - first);
    tf.tidy(() => {
      const given = read.map(([value, numbers]): [string, Tensor] => {
        const part = numbers.subarray(first * lengthOf(value), (first + size) * lengthOf(value));
        return [value, tf.tensor(part, [size, ...shapeOf(graph, value)])];
      });
      const values = runNodes(tf, nodes, layers, new Map(given), size);
      for (const [value, answer] of answers) {
        answer.set(entry(values, value).dataSync<"float32">(), first * (answer.length / count));
      }
    });
    // The event loop gets its turn between batches.
    if (first + size < count) await setImmediate();
  }
  return answers;
}

/** The nodes that have to run for the `wanted` values when others are known. */
function between(graph: Graph, known: ReadonlyMap<string, unknown>, wanted: ReadonlySet<string>): Node[] {
  const needed = new Set(wanted);
  const backwards = graph.nodes.toReversed().filter(({ name, inputs }) => {
    const runs = needed.has(name) && !known.has(name);
    if (runs) for (const input of inputs) needed.add(input);
    return runs;
  });
  return backwards.reverse();
}

function checkRun({ graph }: FloatModel, inputs: Float32Array, count: number, taps: readonly string[]): void {
  const expected = count * sizeOf(graph.input.shape);
  if (!Number.isSafeInteger(count) || count < 0 || inputs.length !== expected) {
    const shape = shapeText(graph.input.shape);
    throw new Failure("input/shape", `${count} inputs of ${shape} are ${expected} numbers, found ${inputs.length}`);
  }
  const names = new Set([graph.input.name, ...graph.nodes.map(({ name }) => name)]);
  const unknown = taps.filter((tap) => !names.has(tap));
  if (unknown.length > 0) throw new Failure("input/missing", `${graph.name} has no value named ${unknown.join(", ")}`);
}

/** All values of `size` samples. A value has one more axis in front than in the graph: the sample. */
function runNodes(
  tf: Tf,
  nodes: readonly Node[],
  layers: ReadonlyMap<string, LayerTensors>,
  values: Map<string, Tensor>,
  size: number,
): Map<string, Tensor> {
  for (const node of nodes) {
    const inputs = node.inputs.map((name) => {
      const value = values.get(name);
      if (!value) throw new Failure("model/malformed", `${node.name} reads ${name}, which is not there yet`);
      return value;
    });
    const result = compute(tf, node, inputs, layers.get(node.name));
    values.set(node.name, tf.reshape(result, [size, ...node.shape]));
  }
  return values;
}

function compute(tf: Tf, node: Node, inputs: readonly Tensor[], layer: LayerTensors | undefined): Tensor {
  if (!isLayer(node)) return computed(tf, node, inputs);
  if (!layer) throw new Failure("model/malformed", `layer ${node.name} has no weights`);
  const [input, second] = inputs;
  if (node.op === "recurrence") return recurred(tf, node, input, layer.weights, layer.bias);
  return computeLayer(tf, node, input, second, layer);
}

type WindowedLayer = Exclude<Layer, Recurrence>;

function computeLayer(
  tf: Tf,
  node: WindowedLayer,
  input: Tensor,
  residual: Tensor | undefined,
  layer: LayerTensors,
): Tensor {
  if (!residual) {
    const activation = fusedActivation(node.clamp);
    const value = weighted(tf, node, input, layer, activation ?? "linear");
    return activation ? value : clamped(tf, value, node.clamp);
  }
  const value = weighted(tf, node, input, layer, "linear");
  return clamped(tf, tf.add(value, tf.reshape(residual, value.shape)), node.clamp);
}

type FusedActivation = "linear" | "relu" | "relu6";

/** A clamp that tfjs does in the same pass as the layer. */
function fusedActivation({ min, max }: Clamp): FusedActivation | undefined {
  if (min !== 0) return undefined;
  return max === 6 ? "relu6" : max === Number.POSITIVE_INFINITY ? "relu" : undefined;
}

/** The bias starts the sum, as in most runtimes: adding it afterwards doubles the rounding error of deep networks. */
function weighted(
  tf: Tf,
  node: WindowedLayer,
  input: Tensor,
  { weights, bias }: LayerTensors,
  activation: FusedActivation,
): Tensor {
  if (node.op === "dense") {
    const [a, b] = [tf.reshape(input, [-1, node.rows]) as Tensor2D, weights as Tensor2D];
    return tf.fused.matMul({ a, b, bias, activation });
  }
  const [strides, dilations] = [[...node.stride], [...node.dilation]] as Pair[];
  const [x, filter, pad] = [image(tf, input), weights as Tensor4D, spatial(node.pads)];
  const common = { x, filter, strides, dilations, bias, activation };
  if (node.op === "conv2d") return tf.fused.conv2d({ ...common, pad });
  // Its type lacks the pads that its code takes.
  return tf.fused.depthwiseConv2d({ ...common, pad: pad as unknown as "valid" });
}
