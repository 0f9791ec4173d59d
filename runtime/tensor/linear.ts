import { type Eigenpairs, leadingPairs } from "./eigen.ts";
import { crossProduct, product } from "./products.ts";

/**
 * The linear algebra of calibration, on row-major flat arrays. Sums run in double precision: covariances of
 * activations are badly conditioned.
 */

export function columnMeans(x: ArrayLike<number>, rows: number, columns: number): Float64Array {
  const means = new Float64Array(columns);
  for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) means[j] += x[i * columns + j] / rows;
  return means;
}

/** x minus a row vector, in place. */
export function center(x: Float64Array | Float32Array, means: ArrayLike<number>): void {
  const columns = means.length;
  for (let i = 0; i < x.length; i++) x[i] -= means[i % columns];
}

export function meanDiagonal(a: Float64Array, n: number): number {
  let trace = 0;
  for (let i = 0; i < n; i++) trace += a[i * n + i];
  return trace / n;
}

/** a + ridge * I, a copy. */
export function ridged(a: Float64Array, n: number, ridge: number): Float64Array {
  const out = Float64Array.from(a);
  for (let i = 0; i < n; i++) out[i * n + i] += ridge;
  return out;
}

export function identity(n: number): Float64Array {
  return ridged(new Float64Array(n * n), n, 1);
}

/** Solves a z = b for symmetric positive definite a (n x n) and b (n x m). */
export function solve(a: Float64Array, b: Float64Array, n: number, m: number): Float64Array {
  const l = cholesky(a, n);
  const z = Float64Array.from(b);
  for (let i = 0; i < n; i++) {
    for (let k = 0; k < i; k++) subtractRow(z, i, k, l[i * n + k], m);
    divideRow(z, i, l[i * n + i], m);
  }
  for (let i = n - 1; i >= 0; i--) {
    divideRow(z, i, l[i * n + i], m);
    for (let k = 0; k < i; k++) subtractRow(z, k, i, l[i * n + k], m);
  }
  return z;
}

/** z[to] -= factor * z[from], rows of length m. */
function subtractRow(z: Float64Array, to: number, from: number, factor: number, m: number): void {
  for (let j = 0; j < m; j++) z[to * m + j] -= factor * z[from * m + j];
}

function divideRow(z: Float64Array, row: number, by: number, m: number): void {
  for (let j = 0; j < m; j++) z[row * m + j] /= by;
}

/** The lower triangular l with l l' = a. Only the lower half of `a` is read. */
function cholesky(a: Float64Array, n: number): Float64Array {
  const l = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = a[i * n + j];
      for (let k = 0; k < j; k++) sum -= l[i * n + k] * l[j * n + k];
      l[i * n + j] = i === j ? Math.sqrt(sum) : sum / l[j * n + j];
    }
  }
  return l;
}

/**
 * The upper triangular u with u' u = a^-1, for symmetric positive definite a (n x n): with the order of rows and
 * columns reversed, a = l l' and u is the reversed inverse of l, so a is never inverted itself.
 */
export function inverseFactor(a: Float64Array, n: number): Float64Array {
  const reversed = a.map((_, i) => a[n * n - 1 - i]);
  const l = cholesky(reversed, n);
  const u = new Float64Array(n * n);
  const column = new Float64Array(n);
  for (let j = 0; j < n; j++) {
    column.fill(0);
    for (let i = j; i < n; i++) {
      let sum = i === j ? 1 : 0;
      for (let k = j; k < i; k++) sum -= l[i * n + k] * column[k];
      column[i] = sum / l[i * n + i];
      u[(n - 1 - i) * n + (n - 1 - j)] = column[i];
    }
  }
  return u;
}

/** Of a matrix, by a (n x k) times b (k x m). */
export interface Approximation {
  readonly a: Float32Array;
  readonly b: Float32Array;
  readonly rank: number;
  /** How much squared error each rank takes away, descending. */
  readonly eigenvalues: readonly number[];
  /** Squared error that is left. */
  readonly left: number;
}

/**
 * The best rank-k approximation of b (n x m) in the metric of r (n x n, positive definite): a (n x k) times p' (k x m)
 * with p the top eigenvectors of G = b' r b, a = b p. It minimises E||x (b - a p')||^2 for inputs with E[x'x] = r,
 * without a matrix square root or inverse (EoRA, arXiv 2410.21271; QERA-exact, arXiv 2410.06040).
 */
export function lowRank(b: Float64Array, r: Float64Array, n: number, m: number, rank: number): Approximation {
  const k = Math.min(rank, n, m);
  const { vectors, values, trace } = m <= n ? outputSide(b, r, n, m, k) : inputSide(b, r, n, m, k);
  const p = new Float64Array(m * k);
  for (let j = 0; j < m; j++) for (let c = 0; c < k; c++) p[j * k + c] = vectors[c][j];
  const a = product(b, p, n, m, k);
  const left = values.reduce((sum, value) => sum - value, trace);
  return { a: Float32Array.from(a), b: Float32Array.from(transpose(p, m, k)), rank: k, eigenvalues: values, left };
}

interface Spectrum extends Eigenpairs {
  /** The sum of all eigenvalues, found or not. */
  readonly trace: number;
}

/** Eigenvectors of b' r b, m x m. */
function outputSide(b: Float64Array, r: Float64Array, n: number, m: number, k: number): Spectrum {
  return spectrum(crossProduct(b, product(r, b, n, n, m), n, m, m), m, k);
}

/** The same for n < m through the n x n problem: with r = l l' and s = l' b, they are s' u / |s' u| for u of s s'. */
function inputSide(b: Float64Array, r: Float64Array, n: number, m: number, k: number): Spectrum {
  const l = cholesky(r, n);
  const s = crossProduct(l, b, n, n, m);
  const { vectors, ...values } = spectrum(product(s, transpose(s, n, m), n, m, n), n, k);
  return { ...values, vectors: vectors.map((u) => normalised(product(u, s, 1, n, m))) };
}

function spectrum(g: Float64Array, n: number, k: number): Spectrum {
  return { ...leadingPairs(g, n, k), trace: n * meanDiagonal(g, n) };
}

function normalised(v: Float64Array): Float64Array {
  const norm = Math.sqrt(v.reduce((sum, x) => sum + x * x, 0));
  return norm > 0 ? v.map((x) => x / norm) : v;
}

function transpose(a: Float64Array, rows: number, columns: number): Float64Array {
  return Float64Array.from({ length: a.length }, (_, i) => a[(i % rows) * columns + Math.floor(i / rows)]);
}
