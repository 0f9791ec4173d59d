import { type Graph, isMatmul, type Node, shapeOf } from "../model/graph.ts";
import { type Shape, sizeOf } from "../tensor/tensor.ts";
import type { Lifetime } from "./memory.ts";
import { isPoint } from "./spatial.ts";

/** Where the model's f32 input and, if it has to be converted, its output are kept, beside the values of the graph. */
export const INPUT = "(input)";
export const OUTPUT = "(output)";

/** The buffers that a layer on a MatmulUnit, or a recurrent one, needs beside its input and output. */
export const vectorsOf = (layer: string): string => `${layer} (vectors)`;
export const productOf = (layer: string): string => `${layer} (product)`;

/** What each value of a graph is stored as, and in which buffer. */
export interface Storage {
  /** The buffer that holds a value: a reshape shares its input's. */
  bufferOf(value: string): string;
  typeOf(value: string): "u8" | "f32";
  readonly outputBuffer: string;
  readonly accelerated: ReadonlySet<string>;
}

/** Kernels that take f32 as well. */
const takesFloat: ReadonlySet<Node["op"]> = new Set(["reshape", "softmax", "recurrence"]);
/** Kernels that can leave their result in f32. */
const yieldsFloat: ReadonlySet<Node["op"]> = new Set(["conv2d", "depthwise", "dense", "softmax"]);

export function storageOf(graph: Graph, accelerated: ReadonlySet<string>): Storage {
  const nodes = new Map(graph.nodes.map((node) => [node.name, node]));
  const bufferOf = (value: string): string => {
    const node = nodes.get(value);
    return node?.op === "reshape" ? bufferOf(node.inputs[0]) : value;
  };
  const mayBeFloat = (buffer: string): boolean =>
    graph.nodes.every(({ op, inputs }) => takesFloat.has(op) || !inputs.some((input) => bufferOf(input) === buffer));
  const floats = new Set(
    graph.nodes.filter(({ name, op }) => yieldsFloat.has(op) && mayBeFloat(name)).map(({ name }) => name),
  );
  const output = bufferOf(graph.output);
  return {
    bufferOf,
    typeOf: (value) => (floats.has(bufferOf(value)) ? "f32" : "u8"),
    outputBuffer: floats.has(output) ? output : OUTPUT,
    accelerated,
  };
}

/** Every buffer with its size and life. Node i runs at time i + 1; the input arrives at 0, the output leaves at the end. */
export function lifetimesOf(graph: Graph, storage: Storage): Lifetime[] {
  const lives = new Map<string, { bytes: number; first: number; last: number }>();
  const touch = (buffer: string, bytes: number, at: number): void => {
    const life = lives.get(buffer);
    if (life) life.last = at;
    else lives.set(buffer, { bytes, first: at, last: at });
  };
  const touchValue = (value: string, at: number): void =>
    touch(storage.bufferOf(value), bytesOf(shapeOf(graph, value), storage.typeOf(value)), at);

  touch(INPUT, bytesOf(graph.input.shape, "f32"), 0);
  touchValue(graph.input.name, 0);
  graph.nodes.forEach((node, i) => {
    for (const input of node.inputs) touchValue(input, i + 1);
    touchValue(node.name, i + 1);
    for (const [buffer, bytes] of ownBuffers(node, storage)) touch(buffer, bytes, i + 1);
  });
  const end = graph.nodes.length + 1;
  touchValue(graph.output, end);
  touch(storage.outputBuffer, bytesOf(shapeOf(graph, graph.output), "f32"), end);
  return [...lives].map(([name, life]) => ({ name, ...life }));
}

function ownBuffers(node: Node, { accelerated }: Storage): [buffer: string, bytes: number][] {
  if (node.op === "recurrence") {
    return [
      [vectorsOf(node.name), node.rows],
      [productOf(node.name), 4 * node.columns],
    ];
  }
  if (!isMatmul(node) || !accelerated.has(node.name)) return [];
  const vectors = (sizeOf(node.shape) / node.columns) * node.rows;
  const gathered = node.op === "conv2d" && !isPoint(node);
  return [
    ...(gathered ? ([[vectorsOf(node.name), vectors]] as [string, number][]) : []),
    [productOf(node.name), bytesOf(node.shape, "f32")],
  ];
}

function bytesOf(shape: Shape, type: "u8" | "f32"): number {
  return sizeOf(shape) * (type === "f32" ? Float32Array.BYTES_PER_ELEMENT : 1);
}
