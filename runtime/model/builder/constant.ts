import { Failure } from "../../base/failure.ts";
import { type Shape, shapeText, sizeOf } from "../../tensor/tensor.ts";

/** A tensor of the file whose values are known while importing: weights, shapes, axes. Row-major, logical order. */
export interface Constant {
  readonly kind: "constant";
  readonly type: "float" | "integer";
  readonly shape: Shape;
  /** Integers as doubles: exact up to 2^53, more than any shape or axis needs. */
  readonly values: Float32Array | Float64Array;
}

/** Elements of the largest weight matrix or value: 64 MB in f32, ten times the largest of a network for such devices. */
const MAX_ELEMENTS = 2 ** 24;

export function integers(values: ArrayLike<number>, shape: Shape = [values.length]): Constant {
  return { kind: "constant", type: "integer", shape, values: Float64Array.from(values) };
}

export function floats(values: Float32Array, shape: Shape): Constant {
  return { kind: "constant", type: "float", shape, values };
}

/** The integers of a shape, axis or permutation tensor. */
export function integersOf({ type, values }: Constant): number[] {
  if (type !== "integer") throw new Failure("import/unsupported-type", "expected an integer constant, found floats");
  return [...values];
}

export function scalarOf({ shape, values }: Constant): number {
  if (values.length !== 1) {
    throw new Failure("import/malformed", `expected a constant with one value, found shape ${shapeText(shape)}`);
  }
  return values[0];
}

/** Weights as f32. Whether they are finite is checked when the graph is finished. */
export function weightsOf({ type, values }: Constant): Float32Array {
  if (values instanceof Float32Array) return values;
  throw new Failure("import/unsupported-type", `weights have to be float32, found ${type} values`);
}

/** Refuses sizes that no device could hold before anything is allocated for them. */
export function checkSize(shape: Shape): void {
  if (shape.every((length) => Number.isSafeInteger(length) && length > 0) && sizeOf(shape) <= MAX_ELEMENTS) return;
  throw new Failure(
    "import/unsupported-shape",
    `shape ${shapeText(shape)}: every axis has to be at least 1 and all of them at most ${MAX_ELEMENTS} values`,
  );
}
