import { type Shape, sizeOf } from "../../tensor/tensor.ts";

/**
 * How the file sees a value of the graph. The graph keeps values in one physical order (images NHWC), a file may see
 * them in another (ONNX: NCHW) or regrouped (flattened). A view names, for each axis of the file, the physical factors
 * that make it up, so that transposes and reshapes cost nothing until an operator insists on an order:
 *
 *   an NHWC value [1, 4, 5, 3]           factors [4, 5, 3]
 *   seen as NCHW [1, 3, 4, 5]            axes [[], [2], [0], [1]]
 *   the same flattened to [1, 60]        axes [[], [2, 0, 1]]
 */
export interface View {
  readonly kind: "view";
  /** The value of the graph. */
  readonly value: string;
  /** Lengths of the physical axes, slowest first, without those of length 1. */
  readonly factors: Shape;
  /** For each axis of the file: the indexes of its factors, slowest first. */
  readonly axes: readonly (readonly number[])[];
  /** Something else reads this value too, so it must not be changed by fusing an operator into its producer. */
  readonly shared: boolean;
}

/** `value` seen as it is stored; `layout[i]` is the file's axis that the physical axis i is. */
export function viewOf(value: string, shape: Shape, layout: readonly number[] = shape.map((_, i) => i)): View {
  const axes: number[][] = shape.map(() => []);
  let count = 0;
  shape.forEach((length, i) => {
    if (length > 1) axes[layout[i]] = [count++];
  });
  return { kind: "view", value, factors: shape.filter((length) => length > 1), axes, shared: false };
}

export function shapeOfView({ factors, axes }: View): Shape {
  return axes.map((group) => sizeOf(group.map((factor) => factors[factor])));
}

export function transposeView(view: View, permutation: readonly number[]): View {
  return { ...view, axes: permutation.map((axis) => view.axes[axis]) };
}

/** A part of a factor while a reshape cuts it up. */
interface Piece {
  readonly factor: number;
  readonly length: number;
}

/** The same values under another shape, or `undefined` if no cut of the factors gives it. Sizes have to be equal. */
export function reshapeView(view: View, shape: Shape): View | undefined {
  const rest: Piece[] = view.axes.flat().map((factor) => ({ factor, length: view.factors[factor] }));
  rest.reverse();
  const groups: Piece[][] = [];
  for (const length of shape) {
    const group = take(rest, length);
    if (!group) return undefined;
    groups.push(group);
  }
  return regroup(view, groups);
}

/** Cuts pieces worth `length` off the end of `rest`. */
function take(rest: Piece[], length: number): Piece[] | undefined {
  const group: Piece[] = [];
  let missing = length;
  while (missing > 1) {
    const piece = rest.pop();
    if (!piece) return undefined;
    if (missing % piece.length === 0) {
      group.push(piece);
      missing /= piece.length;
    } else if (piece.length % missing === 0) {
      group.push({ factor: piece.factor, length: missing });
      rest.push({ factor: piece.factor, length: piece.length / missing });
      missing = 1;
    } else return undefined;
  }
  return group;
}

/** Pieces of one factor come in their physical order, so a stable sort by factor numbers them. */
function regroup(view: View, groups: readonly (readonly Piece[])[]): View {
  const pieces = groups.flat().sort((a, b) => a.factor - b.factor);
  const numbers = new Map(pieces.map((piece, number) => [piece, number]));
  return {
    ...view,
    factors: pieces.map(({ length }) => length),
    axes: groups.map((group) => group.flatMap((piece) => numbers.get(piece) ?? [])),
  };
}

/** With axes of length 1 put in front, as broadcasting does. */
export function withRank(view: View, rank: number): View {
  const missing = Math.max(0, rank - view.axes.length);
  return { ...view, axes: [...Array.from({ length: missing }, () => []), ...view.axes] };
}

/** The factors that make up the axes `dims`, in physical order. */
export function factorsOf(view: View, dims: readonly number[]): number[] {
  return dims.flatMap((axis) => view.axes[axis]).sort((a, b) => a - b);
}

/** For each element of the axes `dims` in physical order: where it is in the file's order. */
export function fileOrder(view: View, dims: readonly number[]): Int32Array {
  const inFile = dims.flatMap((axis) => view.axes[axis]);
  const strides = new Map<number, number>();
  inFile.reduceRight((stride, factor) => {
    strides.set(factor, stride);
    return stride * view.factors[factor];
  }, 1);
  let order = Int32Array.of(0);
  for (const factor of factorsOf(view, dims)) {
    const [length, stride] = [view.factors[factor], strides.get(factor) ?? 0];
    const next = new Int32Array(order.length * length);
    for (let i = 0; i < next.length; i++) next[i] = order[Math.floor(i / length)] + (i % length) * stride;
    order = next;
  }
  return order;
}
