import { Failure } from "../../base/failure.ts";
import type { Shape } from "../../tensor/tensor.ts";
import type { FloatModel } from "../stages.ts";
import type { Operand } from "./arithmetic.ts";
import { Builder } from "./builder.ts";
import { Call, type Operator, type SourceNode } from "./call.ts";
import type { Constant } from "./constant.ts";
import { viewOf } from "./view.ts";

/** What the formats have in common. */
export interface Source<N extends SourceNode> {
  readonly name: string;
  /** In the file's order, with a batch of 1. */
  readonly input: { readonly name: string; readonly shape: Shape };
  /** The tensor that the input is; the name may be nicer. */
  readonly inputTensor: string;
  readonly output: string;
  readonly nodes: readonly N[];
  constant(tensor: string): Constant | undefined;
  /** How the input and an output of four axes are stored: the file's axes in physical order. */
  readonly layout: readonly number[];
}

/** Walks the file's nodes in order and builds the graph. Failures name the node and its operator. */
export function assemble<N extends SourceNode>(
  source: Source<N>,
  operatorOf: (node: N) => Operator<N>,
): Pick<FloatModel, "graph" | "weights"> {
  const { name, input, nodes, output } = source;
  const layout = layoutOf(source, input.shape.length);
  const stored = layout.map((axis) => input.shape[axis]);
  const builder = new Builder({ name: input.name, shape: stored[0] === 1 ? stored : [1, ...stored] });
  const values = new Values(source);
  values.set(source.inputTensor, viewOf(input.name, stored, layout));
  for (const node of nodes) {
    within(node, () => {
      const operator = operatorOf(node);
      const operands = node.inputs.map((tensor) => (tensor === undefined ? undefined : values.get(tensor)));
      const results = [operator(new Call(builder, node, operands))].flat();
      for (const [i, result] of results.entries()) if (node.outputs[i]) values.set(node.outputs[i], result);
    });
  }
  const result = values.get(output);
  if (result.kind === "constant") {
    throw new Failure("import/malformed", `the output ${output} doesn't depend on the input ${input.name}`);
  }
  const groups = layoutOf(source, result.axes.length).map((axis) => [axis]);
  const { value, shape } = builder.arrange(result, groups);
  // A sequence may come with its time first; every value of the graph has its batch first.
  const batched = shape[0] === 1 ? value : builder.reshaped(value, [1, ...shape.filter((length) => length > 1)]).value;
  return builder.finish(name, batched);
}

/** The tensors known so far. */
class Values {
  readonly #source: Source<SourceNode>;
  readonly #readers: ReadonlyMap<string, number>;
  readonly #known = new Map<string, Operand>();

  constructor(source: Source<SourceNode>) {
    this.#source = source;
    this.#readers = readers(source);
  }

  get(tensor: string): Operand {
    const operand = this.#known.get(tensor) ?? this.#source.constant(tensor);
    if (operand) return operand;
    throw new Failure("import/malformed", `nothing yields ${tensor}: no constant, and no node before it is read`);
  }

  /** A view of a tensor with several readers is marked, whatever it came from. */
  set(tensor: string, operand: Operand): void {
    const several = (this.#readers.get(tensor) ?? 0) > 1;
    this.#known.set(tensor, operand.kind === "view" && several ? { ...operand, shared: true } : operand);
  }
}

/** An image has the source's layout, everything else the file's order. */
function layoutOf({ layout }: Pick<Source<SourceNode>, "layout">, rank: number): readonly number[] {
  return layout.length === rank ? layout : Array.from({ length: rank }, (_, axis) => axis);
}

/** How often each tensor is read; the caller reads the output. */
function readers({ nodes, output }: Source<SourceNode>): Map<string, number> {
  const counts = new Map([[output, 1]]);
  for (const tensor of nodes.flatMap(({ inputs }) => inputs)) {
    if (tensor !== undefined) counts.set(tensor, (counts.get(tensor) ?? 0) + 1);
  }
  return counts;
}

function within(node: SourceNode, step: () => void): void {
  try {
    step();
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    const { name, operator } = node;
    throw new Failure(
      error.code,
      `node ${name} (${operator}): ${error.message}`,
      { ...error.detail, node: name, operator },
      error,
    );
  }
}
