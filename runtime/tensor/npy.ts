import { Failure } from "../base/failure.ts";
import { halfToFloat } from "../base/half.ts";
import { encodeHeader, malformed, type NpyHeader, parseHeader } from "./npy-header.ts";
import { type Shape, shapeText, sizeOf, type Tensor } from "./tensor.ts";

/**
 * NumPy's .npy arrays, versions 1 to 3:
 * https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
 */
interface NumberType {
  readonly bytes: number;
  read(view: DataView, at: number): number;
}

/** Every `descr` that is read: byte order (little, or none for bytes), kind, size. */
const types: Readonly<Record<string, NumberType>> = {
  "<f4": { bytes: 4, read: (view, at) => view.getFloat32(at, true) },
  "<f8": { bytes: 8, read: (view, at) => view.getFloat64(at, true) },
  "<f2": { bytes: 2, read: (view, at) => halfToFloat(view.getUint16(at, true)) },
  "|u1": { bytes: 1, read: (view, at) => view.getUint8(at) },
  "|i1": { bytes: 1, read: (view, at) => view.getInt8(at) },
  "|b1": { bytes: 1, read: (view, at) => Math.min(view.getUint8(at), 1) },
  "<u2": { bytes: 2, read: (view, at) => view.getUint16(at, true) },
  "<i2": { bytes: 2, read: (view, at) => view.getInt16(at, true) },
  "<u4": { bytes: 4, read: (view, at) => view.getUint32(at, true) },
  "<i4": { bytes: 4, read: (view, at) => view.getInt32(at, true) },
  "<u8": { bytes: 8, read: (view, at) => Number(view.getBigUint64(at, true)) },
  "<i8": { bytes: 8, read: (view, at) => Number(view.getBigInt64(at, true)) },
};

/**
 * An array of finite numbers as float32, in C order whatever the file's order is. Integers beyond 2^24 are rounded.
 * `where` names the file in errors.
 * @throws Failure `input/malformed` with the place in the file.
 */
export function decodeNpy(bytes: Uint8Array, where: string): Tensor {
  const { header, type } = checked(bytes, where);
  const view = new DataView(bytes.buffer, bytes.byteOffset + header.end);
  const data = new Float32Array(sizeOf(header.shape));
  const source = header.fortranOrder ? columnMajor(header.shape) : (at: number): number => at;
  for (let at = 0; at < data.length; at++) {
    const value = type.read(view, type.bytes * source(at));
    data[at] = value;
    if (!Number.isFinite(data[at])) {
      throw malformed(
        where,
        `value ${value} at ${indexText(header.shape, at)}: only finite float32 numbers are usable`,
      );
    }
  }
  return { shape: header.shape, data };
}

/**
 * Class numbers, one per sample: a vector [N], or [N, 1], of whole numbers from 0.
 * @throws Failure `input/malformed`, or `input/shape` if it is not a vector.
 */
export function decodeLabels(bytes: Uint8Array, where: string): Int32Array {
  const { shape, data } = decodeNpy(bytes, where);
  const [count, ...rest] = shape;
  if (count === undefined || sizeOf(rest) !== 1) {
    throw new Failure("input/shape", `${where}: expected labels [N], found ${shapeText(shape)}`, { shape });
  }
  const wrong = data.findIndex((label) => !Number.isInteger(label) || label < 0 || label >= 2 ** 24);
  if (wrong >= 0) throw malformed(where, `label ${data[wrong]} at [${wrong}]: expected a class number, 0 or more`);
  return Int32Array.from(data);
}

/**
 * A version 1.0 file in C order, byte for byte as NumPy writes it. `u1` holds whole numbers from 0 to 255.
 * @throws Failure `input/malformed` if a value does not fit the type.
 */
export function encodeNpy(tensor: Tensor, type: "f4" | "u1" = "f4"): Uint8Array {
  const header = encodeHeader(type === "f4" ? "<f4" : "|u1", tensor.shape);
  const size = type === "f4" ? 4 : 1;
  const bytes = new Uint8Array(header.length + size * tensor.data.length);
  const view = new DataView(bytes.buffer, header.length);
  bytes.set(header);
  tensor.data.forEach((value, i) => {
    if (type === "f4") view.setFloat32(4 * i, value, true);
    else view.setUint8(i, byte(value, tensor.shape, i));
  });
  return bytes;
}

/** The header, after it was checked that type and length of the data agree with it. */
function checked(bytes: Uint8Array, where: string): { header: NpyHeader; type: NumberType } {
  const header = parseHeader(bytes, where);
  const type = Object.hasOwn(types, header.descr) ? types[header.descr] : undefined;
  if (!type) {
    throw malformed(where, `numbers of type ${header.descr}; supported are ${Object.keys(types).join(", ")}`);
  }
  const expected = type.bytes * sizeOf(header.shape);
  const found = bytes.length - header.end;
  if (found !== expected) {
    throw malformed(where, `${shapeText(header.shape)} of ${header.descr} takes ${expected} bytes, found ${found}`);
  }
  return { header, type };
}

/** From an index in C order to the one in Fortran order, where the first axis is the fastest. */
function columnMajor(shape: Shape): (at: number) => number {
  const strides = shape.map((_, axis) => sizeOf(shape.slice(0, axis)));
  return (at) => indices(shape, at).reduce((sum, index, axis) => sum + index * strides[axis], 0);
}

function indices(shape: Shape, at: number): number[] {
  return shape.map((length, axis) => Math.floor(at / sizeOf(shape.slice(axis + 1))) % length);
}

function indexText(shape: Shape, at: number): string {
  return `[${indices(shape, at).join(", ")}]`;
}

function byte(value: number, shape: Shape, at: number): number {
  if (Number.isInteger(value) && value >= 0 && value <= 255) return value;
  throw new Failure("input/malformed", `value ${value} at ${indexText(shape, at)} is no whole number from 0 to 255`);
}
