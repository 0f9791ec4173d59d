import { Failure } from "../base/failure.ts";
import type { Shape } from "./tensor.ts";

const MAGIC = Uint8Array.of(0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59);
/** NumPy reads headers up to 10,000 characters without being told to trust the file. */
const MAX_HEADER = 10_000;
/** NPY_MAXDIMS of NumPy 2. */
const MAX_AXES = 64;

/** What stands before the data of a .npy file (npy.ts). */
export interface NpyHeader {
  readonly descr: string;
  readonly fortranOrder: boolean;
  readonly shape: Shape;
  /** Where the data start. */
  readonly end: number;
}

/** @throws Failure `input/malformed` */
export function parseHeader(bytes: Uint8Array, where: string): NpyHeader {
  if (bytes.length < 12 || !MAGIC.every((byte, i) => bytes[i] === byte)) {
    throw malformed(where, "not a .npy file: it does not begin with \\x93NUMPY");
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const version = bytes[6];
  if (version < 1 || version > 3) throw malformed(where, `.npy version ${version}; supported are 1, 2 and 3`);
  const start = version === 1 ? 10 : 12;
  const length = version === 1 ? view.getUint16(8, true) : view.getUint32(8, true);
  if (length > MAX_HEADER || start + length > bytes.length) {
    throw malformed(where, `a header of ${length} bytes in a file of ${bytes.length}`);
  }
  const text = new TextDecoder(version === 3 ? "utf-8" : "latin1").decode(bytes.subarray(start, start + length));
  return { ...parseDictionary(text, where), end: start + length };
}

/** The header is a Python dictionary with three keys, in any order: `{'descr': '<f4', 'shape': (3, 4), ...}`. */
function parseDictionary(text: string, where: string): Omit<NpyHeader, "end"> {
  const inside = /^\s*\{(.*)\}\s*$/s.exec(text)?.[1];
  if (inside === undefined) throw malformed(where, `the header is no dictionary: ${quoted(text)}`);
  const found = new Map<string, string>();
  const item = /\s*(['"])(\w+)\1\s*:\s*('[^']*'|"[^"]*"|\w+|\([\d\s,]*\)|\[[^\]]*\])\s*(?:,|$)/y;
  while (item.lastIndex < inside.trimEnd().length) {
    const at = item.lastIndex;
    const [, , key, value] = item.exec(inside) ?? [];
    if (key === undefined || found.has(key)) throw malformed(where, `the header at ${quoted(inside.slice(at))}`);
    found.set(key, value);
  }
  const { descr, fortran_order: order, shape, ...others } = Object.fromEntries(found);
  const isText = /^(['"]).*\1$/.test(descr ?? "");
  if (!isText || !/^(True|False)$/.test(order ?? "") || !shape?.startsWith("(") || Object.keys(others).length > 0) {
    throw malformed(where, `a header of descr (text), fortran_order and shape expected, found ${quoted(text)}`);
  }
  return { descr: descr.slice(1, -1), fortranOrder: order === "True", shape: parseShape(shape, where) };
}

/** `()`, `(3,)` or `(3, 4)`. */
function parseShape(text: string, where: string): Shape {
  const lengths = text.slice(1, -1).trim().replace(/,$/, "");
  const shape =
    lengths === "" ? [] : lengths.split(",").map((length) => (/^\s*\d+\s*$/.test(length) ? Number(length) : -1));
  if (shape.length > MAX_AXES || shape.some((length) => length < 0 || length > 2 ** 32)) {
    throw malformed(where, `the shape ${quoted(text)}`);
  }
  return shape;
}

/** Everything before the data, version 1.0. NumPy leaves room for the first axis to grow to 20 digits, then fills up to a multiple of 64. */
export function encodeHeader(descr: string, shape: Shape): Uint8Array {
  const tuple = shape.length === 1 ? `(${shape[0]},)` : `(${shape.join(", ")})`;
  const room = shape.length > 0 ? " ".repeat(21 - String(shape[0]).length) : "";
  const text = `{'descr': '${descr}', 'fortran_order': False, 'shape': ${tuple}, }${room}`;
  const filler = " ".repeat(64 - ((MAGIC.length + 4 + text.length + 1) % 64));
  const header = new TextEncoder().encode(`${text}${filler}\n`);
  return Uint8Array.of(...MAGIC, 1, 0, header.length & 0xff, header.length >> 8, ...header);
}

function quoted(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}...` : text);
}

export function malformed(where: string, problem: string): Failure {
  return new Failure("input/malformed", `${where}: ${problem}`, { where });
}
