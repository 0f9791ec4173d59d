import { Failure } from "../../base/failure.ts";
import { type Shape, shapeText, sizeOf } from "../../tensor/tensor.ts";
import type { Operand } from "../builder/arithmetic.ts";
import type { Call } from "../builder/call.ts";
import { type Constant, integers, integersOf, scalarOf } from "../builder/constant.ts";
import { addRange, addSlice } from "../builder/slice.ts";
import { transposeView, type View } from "../builder/view.ts";
import type { TfliteNode } from "./file.ts";
import { integerOption } from "./options.ts";

type TfliteCall = Call<TfliteNode>;

/** The shape is an input or, in old files, an option; -1 takes what is left. */
export function reshaped(call: TfliteCall): View {
  const named = call.optional(1);
  const wanted = named ? integersOf(named) : (call.node.options?.i32s(0) ?? []);
  const from = call.shape(0);
  const known = sizeOf(wanted.filter((length) => length !== -1));
  const shape = wanted.map((length) => (length === -1 ? sizeOf(from) / known : length));
  return sameSize(call, shape, wanted);
}

function sameSize(call: TfliteCall, shape: Shape, wanted: Shape = shape): View {
  const from = call.shape(0);
  if (shape.every((length) => Number.isSafeInteger(length) && length > 0) && sizeOf(shape) === sizeOf(from)) {
    return call.build.reshape(call.view(0), shape);
  }
  throw new Failure(
    "import/unsupported-shape",
    `can't reshape ${shapeText(from)} to ${shapeText(wanted)}; with a batch of 1 the sizes have to be equal`,
  );
}

export function expanded(call: TfliteCall): View {
  const from = call.shape(0);
  const axis = call.axis(scalarOf(call.constant(1)), from.length + 1);
  return sameSize(call, from.toSpliced(axis, 0, 1));
}

export function squeezed(call: TfliteCall): View {
  const from = call.shape(0);
  const named = call.node.options?.i32s(0) ?? [];
  const axes = named.map((axis) => call.axis(axis, from.length));
  return sameSize(
    call,
    from.filter((length, axis) => (axes.length > 0 ? !axes.includes(axis) : length !== 1)),
  );
}

export function transposed(call: TfliteCall): View {
  const rank = call.shape(0).length;
  const permutation = integersOf(call.constant(1));
  const axes = Array.from({ length: rank }, (_, axis) => axis);
  if (permutation.toSorted((a, b) => a - b).join() === axes.join()) return transposeView(call.view(0), permutation);
  throw new Failure("import/malformed", `[${permutation}] is no permutation of ${rank} axes`);
}

/** SHAPE, STRIDED_SLICE and PACK are how Keras writes a reshape that keeps the batch. */
export function shapeConstant(call: TfliteCall): Operand {
  return integers(call.shape(0));
}

/** Of a list, or of a value. */
export function sliced(call: TfliteCall): Operand {
  if (call.operand(0).kind === "constant") return slicedList(call);
  const [begins, ends, strides] = [1, 2, 3].map((i) => integersOf(call.constant(i)));
  const [beginMask, endMask, shrink] = masksOf(call, strides);
  const has = (mask: number, axis: number): boolean => (mask & (1 << axis)) !== 0;
  const shape = call.shape(0);
  const part = shape.reduce((view, length, axis) => {
    if (has(shrink, axis)) return addSlice(call.build, call.name, view, axis, call.axis(begins[axis], length), 1);
    const [begin, end] = [has(beginMask, axis) ? 0 : begins[axis], has(endMask, axis) ? length : ends[axis]];
    return addRange(call.build, call.name, view, axis, begin, end);
  }, call.view(0));
  return { ...part, axes: part.axes.filter((_, axis) => !has(shrink, axis)) };
}

function masksOf(call: TfliteCall, strides: readonly number[]): number[] {
  if (strides.some((stride) => stride !== 1) || integerOption(call, 2) !== 0 || integerOption(call, 3) !== 0) {
    throw new Failure("import/unsupported-attribute", `stride ${strides}, ellipsis or new axis; supported: stride 1`);
  }
  return [0, 1, 4].map((field) => integerOption(call, field));
}

/** Entries, or one of them if the axis is shrunk away. */
function slicedList(call: TfliteCall): Constant {
  const list = integersOf(call.constant(0));
  const [begin, end, stride] = [1, 2, 3].map((i) => scalarOf(call.constant(i)));
  const [beginMask, endMask, shrink] = masksOf(call, [stride]);
  if (shrink) return integers([list[call.axis(begin, list.length)]], []);
  return integers(list.slice(beginMask ? 0 : begin, endMask ? list.length : end));
}

export function packed(call: TfliteCall): Constant {
  return integers(call.operands.map((_, i) => integersOf({ ...call.constant(i), shape: [] })[0] ?? 0));
}
