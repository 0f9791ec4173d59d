import { Failure } from "../../base/failure.ts";
import { type Shape, shapeText, sizeOf } from "../../tensor/tensor.ts";
import type { Call } from "../builder/call.ts";
import { integersOf } from "../builder/constant.ts";
import { addRange, addSlice } from "../builder/slice.ts";
import { shapeOfView, transposeView, type View } from "../builder/view.ts";
import type { OnnxNode } from "./file.ts";

type OnnxCall = Call<OnnxNode>;

export function reshaped(call: OnnxCall): View {
  return call.build.reshape(call.view(0), targetShape(call, call.shape(0)));
}

/** 0 keeps the length of the same axis (unless it may mean none), -1 takes what is left. */
export function targetShape(call: OnnxCall, from: Shape): Shape {
  const wanted = integersOf(call.constant(1));
  const allowZero = call.node.attributes.only("allowzero", 0, 1) === 1;
  const kept = wanted.map((length, axis) => (length === 0 && !allowZero ? (from[axis] ?? 0) : length));
  const known = sizeOf(kept.filter((length) => length !== -1));
  const shape = kept.map((length) => (length === -1 ? sizeOf(from) / known : length));
  const fits = shape.every((length) => Number.isSafeInteger(length) && length > 0) && sizeOf(shape) === sizeOf(from);
  if (fits) return shape;
  throw new Failure(
    "import/unsupported-shape",
    `can't reshape ${shapeText(from)} to ${shapeText(wanted)}; with a batch of 1 the sizes have to be equal`,
  );
}

/** [axes before `axis`, axes from it on], each multiplied to one. */
export function flattened(call: OnnxCall): View {
  const from = call.shape(0);
  const named = call.node.attributes.integer("axis", 1);
  const axis = named === from.length ? named : call.axis(named, from.length);
  return call.build.reshape(call.view(0), [sizeOf(from.slice(0, axis)), sizeOf(from.slice(axis))]);
}

export function transposed(call: OnnxCall): View {
  const rank = call.shape(0).length;
  return transposeView(call.view(0), permutationOf(call, rank));
}

/** Each axis once. */
export function permutationOf(call: OnnxCall, rank: number): number[] {
  const reversed = Array.from({ length: rank }, (_, i) => rank - 1 - i);
  const permutation = call.node.attributes.integers("perm") ?? reversed;
  if (permutation.toSorted((a, b) => a - b).join() === reversed.toReversed().join()) return permutation;
  throw new Failure("import/malformed", `[${permutation}] is no permutation of ${rank} axes`);
}

export function squeezed(call: OnnxCall): View {
  const view = call.view(0);
  return call.build.reshape(view, squeezedShape(call, shapeOfView(view)));
}

export function unsqueezed(call: OnnxCall): View {
  const view = call.view(0);
  return call.build.reshape(view, unsqueezedShape(call, shapeOfView(view)));
}

/** Without the named axes of length 1, or without all of them. */
export function squeezedShape(call: OnnxCall, shape: Shape): Shape {
  const named = axesOf(call)?.map((axis) => call.axis(axis, shape.length));
  const gone = named ?? shape.flatMap((length, axis) => (length === 1 ? [axis] : []));
  const long = gone.find((axis) => shape[axis] !== 1);
  if (long !== undefined)
    throw new Failure("import/malformed", `axis ${long} of ${shapeText(shape)} can't be squeezed`);
  return shape.filter((_, axis) => !gone.includes(axis));
}

export function unsqueezedShape(call: OnnxCall, shape: Shape): Shape {
  const named = axesOf(call) ?? [];
  const rank = shape.length + named.length;
  const added = named.map((axis) => call.axis(axis, rank));
  const rest = shape.values();
  return Array.from({ length: rank }, (_, axis) => (added.includes(axis) ? 1 : (rest.next().value ?? 1)));
}

/** A part of one axis; Operator set 10 moved where from the attributes to the inputs. */
export function sliced(call: OnnxCall): View {
  const shape = call.shape(0);
  const at = (input: number, name: string): number[] | undefined => {
    const named = call.optional(input);
    return named ? integersOf(named) : call.node.attributes.integers(name);
  };
  const [starts = [], ends = []] = [at(1, "starts"), at(2, "ends")];
  const axes = at(3, "axes") ?? starts.map((_, axis) => axis);
  if ((at(4, "steps") ?? []).some((step) => step !== 1)) {
    throw new Failure("import/unsupported-attribute", "a slice with a step; supported: 1");
  }
  return axes.reduce(
    (view, named, i) => addRange(call.build, call.name, view, call.axis(named, shape.length), starts[i], ends[i]),
    call.view(0),
  );
}

/** One element of an axis, as `sequence[:, -1]` becomes. */
export function gathered(call: OnnxCall): View {
  const shape = call.shape(0);
  const axis = call.axis(call.node.attributes.integer("axis", 0), shape.length);
  const [index, ...others] = integersOf(call.constant(1));
  if (others.length > 0) throw new Failure("import/unsupported-shape", "only one element can be gathered");
  const part = addSlice(call.build, call.name, call.view(0), axis, call.axis(index, shape[axis]), 1);
  return call.constant(1).shape.length > 0 ? part : { ...part, axes: part.axes.toSpliced(axis, 1) };
}

/** Operator set 13 moved the axes from the attributes to the inputs. */
function axesOf(call: OnnxCall): number[] | undefined {
  const named = call.optional(1);
  return named ? integersOf(named) : call.node.attributes.integers("axes");
}
