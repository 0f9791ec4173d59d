import { Failure } from "../../base/failure.ts";
import { shapeText } from "../../tensor/tensor.ts";
import { addAffine } from "./affine.ts";
import type { Builder } from "./builder.ts";
import { type Constant, weightsOf } from "./constant.ts";
import { addDifference, addElementwise } from "./elementwise.ts";
import { shapeOfView, type View, withRank } from "./view.ts";

export type Operand = View | Constant;
export type Arithmetic = "add" | "sub" | "mul" | "div";

/** Scale and offset that an operation with the constant c amounts to. */
type AsAffine = (c: number) => readonly [scale: number, offset: number];

interface Row {
  /** value op constant */
  readonly right: AsAffine;
  /** constant op value */
  readonly left: AsAffine | undefined;
  readonly values: ((builder: Builder, label: string, a: View, b: View) => View) | undefined;
}

const rows: Readonly<Record<Arithmetic, Row>> = {
  add: {
    right: (c) => [1, c],
    left: (c) => [1, c],
    values: (builder, label, a, b) => addElementwise(builder, label, "add", a, b),
  },
  sub: { right: (c) => [1, -c], left: (c) => [-1, c], values: addDifference },
  mul: {
    right: (c) => [c, 0],
    left: (c) => [c, 0],
    values: (builder, label, a, b) => addElementwise(builder, label, "mul", a, b),
  },
  div: { right: (c) => [1 / c, 0], left: undefined, values: undefined },
};

/** Two values, or a value and a constant. */
export function addArithmetic(builder: Builder, label: string, op: Arithmetic, a: Operand, b: Operand): View {
  const { left, right, values } = rows[op];
  if (a.kind === "view" && b.kind === "constant") return addConstant(builder, label, a, b, right);
  if (a.kind === "constant" && b.kind === "view" && left) return addConstant(builder, label, b, a, left);
  if (a.kind === "view" && b.kind === "view" && values) return values(builder, label, a, b);
  throw new Failure(
    "import/unsupported-operator",
    `${a.kind === "view" ? "a value" : "a constant"} ${op} ${b.kind === "view" ? "a value" : "a constant"} isn't supported`,
  );
}

function addConstant(builder: Builder, label: string, value: View, constant: Constant, affine: AsAffine): View {
  const view = withRank(value, constant.shape.length);
  const { dims, values } = variation(view, constant);
  const pairs = Array.from(values, affine);
  const scale = Float32Array.from(pairs, ([factor]) => factor);
  const offset = Float32Array.from(pairs, ([, term]) => term);
  return addAffine(builder, label, view, dims, scale, offset);
}

/** The axes of the value along which the constant differs, and its values over them. */
function variation(view: View, constant: Constant): { dims: number[]; values: Float32Array } {
  const values = weightsOf(constant);
  const shape = shapeOfView(view);
  const skipped = shape.length - constant.shape.length;
  const dims = constant.shape.flatMap((length, axis) => (length > 1 ? [axis + skipped] : []));
  if (values.length === 0 || dims.some((axis) => constant.shape[axis - skipped] !== shape[axis])) {
    throw new Failure(
      "import/unsupported-shape",
      `a constant of ${shapeText(constant.shape)} doesn't repeat along a value of ${shapeText(shape)}`,
    );
  }
  if (values.every((c) => c === values[0])) return { dims: [], values: values.slice(0, 1) };
  return { dims, values };
}

export interface Normalization {
  readonly gamma: Float32Array;
  readonly beta: Float32Array;
  readonly mean: Float32Array;
  readonly variance: Float32Array;
  readonly epsilon: number;
}

/** Batch normalization with fixed statistics, over the file's axis `axis`. */
export function addNormalization(builder: Builder, label: string, view: View, axis: number, of: Normalization): View {
  const channels = shapeOfView(view)[axis];
  for (const [name, values] of Object.entries(of)) {
    if (typeof values !== "object" || values.length === channels) continue;
    throw new Failure("import/malformed", `expected ${channels} values of ${name}, found ${values.length}`);
  }
  const scale = of.gamma.map((gamma, i) => gamma / Math.sqrt(of.variance[i] + of.epsilon));
  const offset = of.beta.map((beta, i) => beta - of.mean[i] * scale[i]);
  return addAffine(builder, label, view, channels > 1 ? [axis] : [], scale, offset);
}
