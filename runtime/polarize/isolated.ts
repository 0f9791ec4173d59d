import { entry } from "../base/entry.ts";
import type { Slot, Step } from "../kernels/step.ts";
import { type Graph, type Node, shapeOf } from "../model/graph.ts";
import type { Affine, PolarizedLayer } from "../model/stages.ts";
import { stepOf } from "../plan/operations.ts";
import { spatialShape } from "../plan/spatial.ts";
import { sizeOf } from "../tensor/tensor.ts";

/** A node by itself in a memory of its own; without a step where it only renames its input. */
export interface Isolated {
  readonly step: Step | undefined;
  readonly inputs: readonly Slot[];
  readonly output: Slot;
  readonly memory: MiniMemory;
}

/** The step that computes a node's value; a layer needs its corrected weights. */
export function isolated(
  node: Node,
  layer: PolarizedLayer | undefined,
  graph: Graph,
  ranges: ReadonlyMap<string, Affine>,
): Isolated {
  const memory = new MiniMemory();
  const inputs = node.inputs.map((value) => memory.place(codeSlot(value, graph, ranges)));
  const output = memory.place(codeSlot(node.name, graph, ranges));
  const slots = new Map([...node.inputs.map((value, i) => [value, inputs[i]] as const), [node.name, output]]);
  const step = stepOf(node, {
    slot: (value) => entry(slots, value),
    buffer: (_, shape) => memory.place({ offset: 0, shape, type: "f32", scale: 1, zeroPoint: 0 }),
    layer: (name) => {
      if (!layer) throw new Error(`layer ${name} was not corrected yet`);
      return layer;
    },
    isAccelerated: () => false,
  });
  return { step, inputs, output, memory };
}

/** Of a value's codes, nowhere yet. */
export function codeSlot(value: string, graph: Graph, ranges: ReadonlyMap<string, Affine>): Slot {
  const shape = spatialShape(shapeOf(graph, value), value);
  return { offset: 0, shape, type: "u8", ...entry(ranges, value) };
}

/** Slots one after the other. */
export class MiniMemory {
  bytes = 0;

  place(slot: Slot): Slot {
    const offset = this.bytes;
    this.bytes += Math.ceil((sizeOf(slot.shape) * (slot.type === "f32" ? 4 : 1)) / 16) * 16;
    return { ...slot, offset };
  }
}
