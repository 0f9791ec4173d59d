import { readFileSync } from "node:fs";
import { asset } from "../base/assets.ts";

/**
 * Matrix products in double precision by one small wasm kernel (assembly/products.ts): most of the time of a
 * calibration is spent here, and this is 4 to 6 times as fast as the same loops in JavaScript. Matrices are row-major;
 * inside wasm their rows are filled up to a multiple of four.
 */
type Numbers = Float64Array | Float32Array | Uint8Array;

/** Rows that are copied in and multiplied at once, so that what a tile reads stays in the caches. */
const CHUNK = 128;
const PAGE = 65536;

/** a (n x k) times b (k x m). */
export function product(a: Numbers, b: Numbers, n: number, k: number, m: number): Float64Array {
  const out = new Float64Array(n * m);
  const wide = fours(m);
  const [left, right, sums] = workspace([CHUNK * k, k * wide, CHUNK * wide]);
  putRows(right, b, 0, k, m, wide);
  for (let i = 0; i < n; i += CHUNK) {
    const rows = Math.min(CHUNK, n - i);
    put(left, a.subarray(i * k, (i + rows) * k));
    floats(sums).fill(0);
    accumulate(left.at, 8 * k, 8, right.at, 8 * wide, sums.at, 8 * wide, fours(rows), wide, k, false);
    takeRows(sums, wide, out.subarray(i * m), rows, m);
  }
  return out;
}

/** a' b for a (k x n) and b (k x m): sums over the k samples. */
export function crossProduct(a: Numbers, b: Numbers, k: number, n: number, m: number): Float64Array {
  const out = new Float64Array(n * m);
  const [tall, wide] = [fours(n), fours(m)];
  const [left, right, sums] = workspace([CHUNK * tall, CHUNK * wide, tall * wide]);
  floats(sums).fill(0);
  for (let i = 0; i < k; i += CHUNK) {
    const rows = Math.min(CHUNK, k - i);
    putRows(left, a, i, rows, n, tall);
    putRows(right, b, i, rows, m, wide);
    accumulate(left.at, 8, 8 * tall, right.at, 8 * wide, sums.at, 8 * wide, tall, wide, rows, false);
  }
  takeRows(sums, wide, out, n, m);
  return out;
}

/** x' x / samples for x (samples x n): symmetric, n x n. */
export function secondMoment(x: Numbers, samples: number, n: number): Float64Array {
  const out = new Float64Array(n * n);
  const wide = fours(n);
  const [vectors, sums] = workspace([CHUNK * wide, wide * wide]);
  floats(sums).fill(0);
  for (let i = 0; i < samples; i += CHUNK) {
    const rows = Math.min(CHUNK, samples - i);
    putRows(vectors, x, i, rows, n, wide);
    accumulate(vectors.at, 8, 8 * wide, vectors.at, 8 * wide, sums.at, 8 * wide, wide, wide, rows, true);
  }
  takeRows(sums, wide, out, n, n);
  for (let i = 0; i < n; i++) for (let j = i; j < n; j++) out[i * n + j] = out[j * n + i] = out[i * n + j] / samples;
  return out;
}

/** Part of the kernel's memory: bytes from its start, and how many doubles. */
interface Region {
  readonly at: number;
  readonly length: number;
}

type Accumulate = (
  ...args: [a: number, aRow: number, aStep: number, b: number, bPitch: number, ...rest: (number | boolean)[]]
) => void;

let loaded: { readonly memory: WebAssembly.Memory; readonly accumulate: Accumulate } | undefined;

function kernel(): NonNullable<typeof loaded> {
  if (loaded) return loaded;
  const memory = new WebAssembly.Memory({ initial: 1 });
  const module = new WebAssembly.Module(readFileSync(asset("runtime/tensor/products.wasm")));
  const { exports } = new WebAssembly.Instance(module, { env: { memory } });
  loaded = { memory, accumulate: exports.accumulate as Accumulate };
  return loaded;
}

const accumulate: Accumulate = (...args) => kernel().accumulate(...args);

/** Room for these many doubles each; what was there before is lost. */
function workspace(lengths: readonly number[]): Region[] {
  const { memory } = kernel();
  let at = 0;
  const regions = lengths.map((length) => {
    const region = { at, length };
    at += Math.ceil((8 * length) / 16) * 16;
    return region;
  });
  const missing = at - memory.buffer.byteLength;
  if (missing > 0) memory.grow(Math.ceil(missing / PAGE));
  return regions;
}

function floats({ at, length }: Region): Float64Array {
  return new Float64Array(kernel().memory.buffer, at, length);
}

function put(to: Region, values: Numbers): void {
  floats(to).set(values);
}

/** `rows` rows of `from`, from the row `first` on; what fills a row up is zero. */
function putRows(to: Region, from: Numbers, first: number, rows: number, columns: number, wide: number): void {
  const target = floats(to);
  for (let row = 0; row < rows; row++) {
    const at = (first + row) * columns;
    target.set(from.subarray(at, at + columns), row * wide);
    target.fill(0, row * wide + columns, (row + 1) * wide);
  }
}

function takeRows(from: Region, wide: number, to: Float64Array, rows: number, columns: number): void {
  const source = floats(from);
  for (let row = 0; row < rows; row++) to.set(source.subarray(row * wide, row * wide + columns), row * columns);
}

function fours(length: number): number {
  return (length + 3) & ~3;
}
