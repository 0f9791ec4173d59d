import { Failure } from "../base/failure.ts";

type Read = (view: DataView, at: number) => number;

/** Data types of the Open Inference Protocol that fit in an f32 without surprise. Binary data is little-endian. */
const types: Readonly<Record<string, { readonly bytes: number; readonly read: Read }>> = {
  FP32: { bytes: 4, read: (view, at) => view.getFloat32(at, true) },
  FP64: { bytes: 8, read: (view, at) => view.getFloat64(at, true) },
  UINT8: { bytes: 1, read: (view, at) => view.getUint8(at) },
  INT8: { bytes: 1, read: (view, at) => view.getInt8(at) },
  INT16: { bytes: 2, read: (view, at) => view.getInt16(at, true) },
  INT32: { bytes: 4, read: (view, at) => view.getInt32(at, true) },
};

/** @throws Failure serve/malformed */
export function fromBinary(datatype: string, bytes: Uint8Array, length: number): Float32Array {
  const { bytes: size, read } = typeNamed(datatype);
  if (bytes.length !== size * length) {
    throw new Failure(
      "serve/malformed",
      `${length} values of ${datatype} take ${size * length} bytes, got ${bytes.length}`,
    );
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return finite(Float32Array.from({ length }, (_, i) => read(view, i * size)));
}

/** From the numbers of JSON, flat or nested. @throws Failure serve/malformed */
export function fromJson(datatype: string, data: readonly unknown[], length: number): Float32Array {
  typeNamed(datatype);
  const flat = data.flat(4);
  if (flat.length !== length || !flat.every((value) => typeof value === "number")) {
    throw new Failure("serve/malformed", `data: expected ${length} numbers, got ${flat.length} values`);
  }
  return finite(Float32Array.from(flat as number[]));
}

function typeNamed(name: string): { readonly bytes: number; readonly read: Read } {
  if (Object.hasOwn(types, name)) return types[name];
  throw new Failure("serve/malformed", `datatype ${name}: expected one of ${Object.keys(types).join(", ")}`);
}

function finite(values: Float32Array): Float32Array {
  const bad = values.findIndex((value) => !Number.isFinite(value));
  if (bad < 0) return values;
  throw new Failure("serve/malformed", `data: the value at ${bad} is not finite`);
}
