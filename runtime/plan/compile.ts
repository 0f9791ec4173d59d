import { entry } from "../base/entry.ts";
import type { Slot } from "../kernels/step.ts";
import { type Graph, isMatmul, shapeOf } from "../model/graph.ts";
import type { Affine, PolarizedModel } from "../model/stages.ts";
import { type Layout, planMemory } from "./memory.ts";
import { operationOf, type Surroundings } from "./operations.ts";
import type { Operation, Plan } from "./plan.ts";
import { spatialShape } from "./spatial.ts";
import { INPUT, lifetimesOf, OUTPUT, type Storage, storageOf } from "./storage.ts";
import { weightBytesOf } from "./weight-bytes.ts";

/** The "quantization" of values that are kept in f32. */
const REAL: Affine = { scale: 1, zeroPoint: 0 };

/**
 * Decides where every value lives and which step computes it.
 * @param accelerated layers whose product a MatmulUnit does; only those with an accelerator correction can be
 */
export function compile(model: PolarizedModel, accelerated: ReadonlySet<string> = new Set()): Plan {
  const { graph } = model;
  const placed = graph.nodes.filter(({ name }) => accelerated.has(name) && model.layers.get(name)?.accelerator);
  const storage = storageOf(graph, new Set(placed.filter(isMatmul).map(({ name }) => name)));
  const lifetimes = lifetimesOf(graph, storage);
  const layout = planMemory(lifetimes);
  const around = surroundings(model, storage, layout);
  const input = realSlot(graph, graph.input.name, entry(layout.offsets, INPUT));
  const output = realSlot(graph, graph.output, entry(layout.offsets, storage.outputBuffer));
  return {
    stage: "plan",
    graph,
    input,
    output,
    operations: [
      quantizeInput(graph, around, input),
      ...graph.nodes.flatMap((node) => operationOf(node, around) ?? []),
      ...(storage.outputBuffer === OUTPUT ? [convertOutput(graph, around, output)] : []),
    ],
    memory: lifetimes.map((life) => ({ ...life, offset: entry(layout.offsets, life.name) })),
    arenaBytes: layout.bytes,
    weightBytes: weightBytesOf(model),
  };
}

function surroundings(model: PolarizedModel, storage: Storage, layout: Layout): Surroundings {
  return {
    slot(value) {
      const type = storage.typeOf(value);
      const shape = spatialShape(shapeOf(model.graph, value), value);
      const offset = entry(layout.offsets, storage.bufferOf(value));
      return { offset, shape, type, ...(type === "f32" ? REAL : entry(model.ranges, value)) };
    },
    buffer: (name, shape) => ({ offset: entry(layout.offsets, name), shape, type: "f32", ...REAL }),
    layer: (name) => entry(model.layers, name),
    isAccelerated: (name) => storage.accelerated.has(name),
  };
}

function realSlot(graph: Graph, value: string, offset: number): Slot {
  return { offset, shape: spatialShape(shapeOf(graph, value), value), type: "f32", ...REAL };
}

function quantizeInput({ input: { name } }: Graph, around: Surroundings, input: Slot): Operation {
  return { kind: "step", value: name, step: { op: "quantize", name, input, output: around.slot(name) } };
}

function convertOutput({ output: name }: Graph, around: Surroundings, output: Slot): Operation {
  return { kind: "step", value: name, step: { op: "dequantize", name, input: around.slot(name), output } };
}
