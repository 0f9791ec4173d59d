import { Failure } from "../../base/failure.ts";
import { type Shape, sizeOf } from "../../tensor/tensor.ts";
import type { Operand } from "../builder/arithmetic.ts";
import type { Call } from "../builder/call.ts";
import { type Constant, checkSize, floats, integers, integersOf } from "../builder/constant.ts";
import { shapeOfView } from "../builder/view.ts";
import type { OnnxNode } from "./file.ts";
import { permutationOf, squeezedShape, targetShape, unsqueezedShape } from "./shape.ts";

type OnnxCall = Call<OnnxNode>;

/** Shape arithmetic as exporters write it, worked out while importing: all inputs are known. */
export const evaluators: Readonly<Record<string, (call: OnnxCall) => Constant>> = {
  Add: (call) => calculated(call, (a, b) => a + b),
  Cast: cast,
  Concat: joined,
  Constant: constant,
  ConstantOfShape: filled,
  Div: (call) => calculated(call, (a, b) => a / b),
  Gather: gathered,
  Identity: (call) => call.constant(0),
  Mul: (call) => calculated(call, (a, b) => a * b),
  Reshape: (call) => withShape(call, targetShape(call, call.constant(0).shape)),
  Shape: shape,
  Slice: sliced,
  Squeeze: (call) => withShape(call, squeezedShape(call, call.constant(0).shape)),
  Sub: (call) => calculated(call, (a, b) => a - b),
  Transpose: transposed,
  Unsqueeze: (call) => withShape(call, unsqueezedShape(call, call.constant(0).shape)),
};

/** Shape knows its answer whatever its input; Constant has none. */
export function isKnown(call: OnnxCall): boolean {
  const { operator } = call.node;
  return operator === "Shape" || call.operands.every((operand: Operand | undefined) => operand?.kind !== "view");
}

function withShape(call: OnnxCall, to: Shape): Constant {
  return { ...call.constant(0), shape: to };
}

function like({ type }: Constant, values: readonly number[], to: Shape): Constant {
  return type === "float" ? floats(Float32Array.from(values), to) : integers(values, to);
}

/** One number per axis. */
function shape(call: OnnxCall): Constant {
  const operand = call.operand(0);
  const lengths = operand.kind === "view" ? shapeOfView(operand) : operand.shape;
  const { attributes } = call.node;
  return integers(lengths.slice(attributes.integer("start", 0), attributes.integer("end", lengths.length)));
}

function constant(call: OnnxCall): Constant {
  const { attributes } = call.node;
  const tensor = attributes.tensor("value");
  if (tensor) return tensor;
  const whole = attributes.integers("value_ints");
  if (whole) return integers(whole);
  const real = attributes.floats("value_floats");
  if (real) return floats(real, [real.length]);
  const single = attributes.float("value_float", Number.POSITIVE_INFINITY);
  if (single !== Number.POSITIVE_INFINITY) return floats(Float32Array.of(single), []);
  return integers([attributes.integer("value_int", 0)], []);
}

/** Both of one size, or one of them a single number. */
function calculated(call: OnnxCall, of: (a: number, b: number) => number): Constant {
  const [a, b] = [call.constant(0), call.constant(1)];
  const long = a.values.length >= b.values.length ? a : b;
  const sizes = [a, b].filter(({ values }) => values.length !== 1 && values.length !== long.values.length);
  if (sizes.length > 0) {
    throw new Failure("import/unsupported-shape", `constants of ${a.values.length} and ${b.values.length} values`);
  }
  const at = ({ values }: Constant, i: number): number => values[values.length === 1 ? 0 : i];
  const round = long.type === "integer" ? Math.trunc : (value: number) => value;
  return like(
    long,
    Array.from(long.values, (_, i) => round(of(at(a, i), at(b, i)))),
    long.shape,
  );
}

/** TensorProto.DataType of the targets that are needed. */
const castTypes: Readonly<Record<number, Constant["type"]>> = { 1: "float", 6: "integer", 7: "integer" };

function cast(call: OnnxCall): Constant {
  const from = call.constant(0);
  const to = call.node.attributes.integer("to", 0);
  const type = castTypes[to];
  if (!type) throw new Failure("import/unsupported-type", `a cast to type ${to}; supported: float, int32, int64`);
  const round = type === "integer" ? Math.trunc : (value: number) => value;
  return like({ ...from, type }, Array.from(from.values, round), from.shape);
}

function joined(call: OnnxCall): Constant {
  const parts = call.operands.map((_, i) => call.constant(i));
  if (parts.some((part) => part.shape.length !== 1)) {
    throw new Failure("import/unsupported-shape", "only constants with one axis can be concatenated");
  }
  const values = parts.flatMap((part) => [...part.values]);
  call.node.attributes.only("axis", 0, -1);
  return like(call.constant(0), values, [values.length]);
}

/** Anything larger isn't a constant of shape arithmetic or a bias. */
const MAX_FILLED = 2 ** 16;

function filled(call: OnnxCall): Constant {
  const to = integersOf(call.constant(0));
  checkSize(to);
  if (sizeOf(to) > MAX_FILLED) {
    throw new Failure(
      "import/unsupported-shape",
      `a constant of ${sizeOf(to)} values; at most ${MAX_FILLED} are supported`,
    );
  }
  const value = call.node.attributes.tensor("value") ?? floats(new Float32Array(1), [1]);
  const length = sizeOf(to);
  return value.type === "float"
    ? floats(new Float32Array(length).fill(value.values[0]), to)
    : { ...value, shape: to, values: new Float64Array(length).fill(value.values[0]) };
}

/** Entries of a list. */
function gathered(call: OnnxCall): Constant {
  const list = oneAxis(call.constant(0));
  const indexes = call.constant(1);
  call.node.attributes.only("axis", 0);
  const values = integersOf(indexes).map((index) => list.values[call.axis(index, list.values.length)]);
  return like(list, values, indexes.shape);
}

function sliced(call: OnnxCall): Constant {
  const list = oneAxis(call.constant(0));
  const { attributes } = call.node;
  const at = (i: number, name: string): number | undefined => {
    const named = call.optional(i);
    return named ? integersOf(named)[0] : attributes.integers(name)?.[0];
  };
  const step = at(4, "steps") ?? 1;
  if (step !== 1) throw new Failure("import/unsupported-attribute", `a slice with a step of ${step}; supported: 1`);
  call.axis(at(3, "axes") ?? 0, 1);
  const values = [...list.values].slice(at(1, "starts"), at(2, "ends"));
  return like(list, values, [values.length]);
}

function oneAxis(list: Constant): Constant {
  if (list.shape.length === 1) return list;
  throw new Failure("import/unsupported-shape", `expected a constant with one axis, found ${list.shape.length}`);
}

function transposed(call: OnnxCall): Constant {
  const from = call.constant(0);
  const permutation = permutationOf(call, from.shape.length);
  const strides = from.shape.map((_, axis) => sizeOf(from.shape.slice(axis + 1)));
  let order = [0];
  for (const axis of permutation) {
    order = order.flatMap((at) => Array.from({ length: from.shape[axis] }, (_, i) => at + i * strides[axis]));
  }
  return like(
    from,
    order.map((i) => from.values[i]),
    permutation.map((axis) => from.shape[axis]),
  );
}
