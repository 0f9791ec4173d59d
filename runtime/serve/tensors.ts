import { Failure } from "../base/failure.ts";

/**
 * Data types of the Open Inference Protocol that fit in an f32 without surprise. Binary data is little-endian, as is
 * every machine that runs the kernels.
 */
const types: Readonly<Record<Datatype, Numbers & { readonly BYTES_PER_ELEMENT: number }>> = {
  FP32: Float32Array,
  FP64: Float64Array,
  UINT8: Uint8Array,
  INT8: Int8Array,
  INT16: Int16Array,
  INT32: Int32Array,
};

type Numbers = new (buffer: ArrayBuffer) => ArrayLike<number>;
export type Datatype = "FP32" | "FP64" | "UINT8" | "INT8" | "INT16" | "INT32";

/** @throws Failure serve/malformed */
export function datatypeNamed(name: string): Datatype {
  if (Object.hasOwn(types, name)) return name as Datatype;
  throw new Failure("serve/malformed", `datatype ${name}: expected one of ${Object.keys(types).join(", ")}`);
}

/** A copy in f32. @throws Failure serve/malformed */
export function fromBinary(datatype: Datatype, bytes: Uint8Array, length: number): Float32Array {
  const numbers = types[datatype];
  const expected = numbers.BYTES_PER_ELEMENT * length;
  if (bytes.length !== expected) {
    throw new Failure("serve/malformed", `${length} values of ${datatype} take ${expected} bytes, got ${bytes.length}`);
  }
  return finite(new Float32Array(new numbers(new Uint8Array(bytes).buffer)));
}

/** From the numbers of JSON, flat or nested. @throws Failure serve/malformed */
export function fromJson(data: readonly unknown[], length: number): Float32Array {
  const flat = data.flat(4);
  if (flat.length !== length || !flat.every((value) => typeof value === "number")) {
    throw new Failure("serve/malformed", `data: expected ${length} numbers, got ${flat.length} values`);
  }
  return finite(Float32Array.from(flat as number[]));
}

function finite(values: Float32Array): Float32Array {
  for (let i = 0; i < values.length; i++) {
    if (!Number.isFinite(values[i])) throw new Failure("serve/malformed", `data: the value at ${i} is not finite`);
  }
  return values;
}
