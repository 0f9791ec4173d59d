/** Row-major, last axis fastest. Images are NHWC. The batch axis is part of the shape. */
export type Shape = readonly number[];

export interface Tensor {
  readonly shape: Shape;
  readonly data: Float32Array;
}

export function sizeOf(shape: Shape): number {
  return shape.reduce((size, length) => size * length, 1);
}

export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((length, i) => length === b[i]);
}

export function shapeText(shape: Shape): string {
  return `[${shape.join(", ")}]`;
}

/** One after another. */
export function joined(parts: readonly Float32Array[]): Float32Array {
  const out = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** Index of the greatest of `length` values from `at`; the first one of equals. */
export function argmax(values: Float32Array, at = 0, length: number = values.length): number {
  let best = 0;
  for (let i = 1; i < length; i++) if (values[at + i] > values[at + best]) best = i;
  return best;
}
