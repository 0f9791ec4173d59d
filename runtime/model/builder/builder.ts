import { Failure } from "../../base/failure.ts";
import { type Shape, sameShape, sizeOf } from "../../tensor/tensor.ts";
import type { Node } from "../graph.ts";
import type { FloatModel, FloatWeights } from "../stages.ts";
import { checkSize } from "./constant.ts";
import { isSorted, threeAxes } from "./order.ts";
import { factorsOf, reshapeView, type View, viewOf } from "./view.ts";

/** Weights of a whole model: 256 MB in f32, half the memory of the smallest device. */
const MAX_WEIGHTS = 2 ** 26;

/** A value in the order and shape that an operator needs. */
export interface Placed {
  readonly value: string;
  readonly shape: Shape;
}

/** The graph while it is being built. Operators fuse into their producers as they are added (see the files beside). */
export class Builder {
  readonly #nodes = new Map<string, Node>();
  readonly #weights = new Map<string, FloatWeights>();
  readonly #names = new Set<string>();
  /** Reorderings already made, so that two readers share one. */
  readonly #arranged = new Map<string, string>();
  #weightCount = 0;
  readonly #input: { readonly name: string; readonly shape: Shape };

  constructor(input: { readonly name: string; readonly shape: Shape }) {
    checkSize(input.shape);
    this.#input = input;
    this.#names.add(input.name);
  }

  /** `wanted`, or with a number behind it if that is taken. */
  name(wanted: string): string {
    let name = wanted;
    for (let i = 2; this.#names.has(name); i++) name = `${wanted}#${i}`;
    this.#names.add(name);
    return name;
  }

  /** Adds a node under a name from `name` and returns a view of its value. */
  add(node: Node, weights?: FloatWeights): View {
    checkSize(node.shape);
    this.#nodes.set(node.name, node);
    if (weights) this.#weights.set(node.name, weights);
    return viewOf(node.name, node.shape);
  }

  /** In place of the node of the same name. */
  replace(node: Node, weights: FloatWeights | undefined = this.#weights.get(node.name)): void {
    this.#nodes.set(node.name, node);
    if (weights) this.#weights.set(node.name, weights);
  }

  /** To be called before weights are allocated: a small file can ask for a lot of them. */
  reserve(rows: number, columns: number): void {
    checkSize([rows, columns]);
    this.#weightCount += rows * columns;
    if (this.#weightCount <= MAX_WEIGHTS) return;
    throw new Failure("import/unsupported-shape", `more than ${MAX_WEIGHTS} weights in one model`);
  }

  weights(layer: string): FloatWeights {
    const weights = this.#weights.get(layer);
    if (!weights) throw new Error(`${layer} has no weights`);
    return weights;
  }

  shape(value: string): Shape {
    return this.#nodes.get(value)?.shape ?? this.#input.shape;
  }

  /** The node that yields the view's value, if nothing else reads it: then it may be changed. */
  producer(view: View): Node | undefined {
    return view.shared ? undefined : this.#nodes.get(view.value);
  }

  /** One physical axis per group; a group is made of the file's axes named in it. */
  arrange(view: View, groups: readonly (readonly number[])[]): Placed {
    const factors = groups.map((group) => group.flatMap((axis) => view.axes[axis]));
    const shape = factors.map((group) => sizeOf(group.map((factor) => view.factors[factor])));
    return this.reshaped(this.#ordered(view, factors.flat()), shape);
  }

  /** The same values in the same order under another shape. */
  reshaped(value: string, shape: Shape): Placed {
    if (sameShape(this.shape(value), shape)) return { value, shape };
    const node = this.#nodes.get(value);
    const source = node?.op === "reshape" ? node.inputs[0] : value;
    if (sameShape(this.shape(source), shape)) return { value: source, shape };
    const made = this.#once(`${source} as ${shape}`, () => {
      const name = this.name(`${source}:reshape`);
      return this.add({ op: "reshape", name, inputs: [source], shape }).value;
    });
    return { value: made, shape };
  }

  /** The same values in the file's order under another shape of the same size. */
  reshape(view: View, shape: Shape): View {
    const cut = reshapeView(view, shape);
    if (cut) return cut;
    const value = this.#ordered(view, view.axes.flat());
    return { ...viewOf(value, shape), shared: true };
  }

  /** The same values with the axes `dims` behind all others, reordered only if they aren't there yet. */
  behind(view: View, dims: readonly number[]): View {
    const inner = factorsOf(view, dims);
    const outer = view.factors.map((_, factor) => factor).filter((factor) => !inner.includes(factor));
    const order = [...outer, ...inner];
    if (isSorted(order)) return view;
    return {
      ...view,
      value: this.#ordered(view, order),
      factors: order.map((factor) => view.factors[factor]),
      axes: view.axes.map((group) => group.map((factor) => order.indexOf(factor))),
      shared: true,
    };
  }

  /** What the value `output` needs, in order. */
  finish(name: string, output: string): Pick<FloatModel, "graph" | "weights"> {
    const needed = new Set([output]);
    const nodes = [...this.#nodes.values()]
      .reverse()
      .filter((node) => {
        if (!needed.has(node.name)) return false;
        for (const input of node.inputs) needed.add(input);
        return true;
      })
      .reverse();
    const weights = new Map([...this.#weights].filter(([layer]) => needed.has(layer)));
    for (const [layer, { weights: matrix, bias }] of weights) {
      checkFinite(layer, "weight", matrix);
      checkFinite(layer, "bias", bias);
    }
    return { graph: { name, input: this.#input, output, nodes }, weights };
  }

  /** `value` with its factors in another order. */
  #ordered(view: View, order: readonly number[]): string {
    if (isSorted(order)) return view.value;
    return this.#once(`${view.value} of ${view.factors} in ${order}`, () => {
      const { lengths, permutation } = threeAxes(view.factors, order);
      const from = this.reshaped(view.value, [1, ...lengths]);
      const shape = [1, ...permutation.map((axis) => lengths[axis])];
      const name = this.name(`${view.value}:transpose`);
      const fourAxes = [0, ...permutation.map((axis) => axis + 1)];
      return this.add({ op: "transpose", name, inputs: [from.value], shape, permutation: fourAxes }).value;
    });
  }

  #once(key: string, make: () => string): string {
    const value = this.#arranged.get(key) ?? make();
    this.#arranged.set(key, value);
    return value;
  }
}

/** A NaN in one weight would silently spoil every answer. */
function checkFinite(layer: string, what: string, values: Float32Array): void {
  const bad = values.findIndex((value) => !Number.isFinite(value));
  if (bad < 0) return;
  throw new Failure("import/malformed", `${what} ${bad} of ${layer} is ${values[bad]}; it has to be a finite number`);
}
