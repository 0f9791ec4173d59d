import { CholeskyDecomposition, EigenvalueDecomposition, Matrix } from "ml-matrix";

/**
 * The linear algebra of calibration, on row-major flat arrays. Sums run in double precision: covariances of
 * activations are badly conditioned.
 */

/** a (n x k) times b (k x m). */
export function product(a: ArrayLike<number>, b: ArrayLike<number>, n: number, k: number, m: number): Float64Array {
  const out = new Float64Array(n * m);
  for (let i = 0; i < n; i++) {
    for (let l = 0; l < k; l++) {
      const factor = a[i * k + l];
      if (factor === 0) continue;
      for (let j = 0; j < m; j++) out[i * m + j] += factor * b[l * m + j];
    }
  }
  return out;
}

/** a' b for a (k x n) and b (k x m): sums over the k samples. */
export function crossProduct(
  a: ArrayLike<number>,
  b: ArrayLike<number>,
  k: number,
  n: number,
  m: number,
): Float64Array {
  const out = new Float64Array(n * m);
  for (let l = 0; l < k; l++) {
    for (let i = 0; i < n; i++) {
      const factor = a[l * n + i];
      if (factor === 0) continue;
      for (let j = 0; j < m; j++) out[i * m + j] += factor * b[l * m + j];
    }
  }
  return out;
}

/** x' x / samples for x (samples x n): symmetric, n x n. */
export function secondMoment(x: ArrayLike<number>, samples: number, n: number): Float64Array {
  const out = new Float64Array(n * n);
  for (let l = 0; l < samples; l++) {
    for (let i = 0; i < n; i++) {
      const factor = x[l * n + i] / samples;
      if (factor === 0) continue;
      for (let j = i; j < n; j++) out[i * n + j] += factor * x[l * n + j];
    }
  }
  for (let i = 0; i < n; i++) for (let j = 0; j < i; j++) out[i * n + j] = out[j * n + i];
  return out;
}

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

/** Solves a z = b for symmetric positive definite a (n x n) and b (n x m). */
export function solve(a: Float64Array, b: Float64Array, n: number, m: number): Float64Array {
  return flat(new CholeskyDecomposition(matrix(a, n, n)).solve(matrix(b, n, m)), n, m);
}

/**
 * The best rank-k approximation of b (n x m) in the metric of r (n x n, positive definite): a (n x k) times p' (k x m)
 * with p the top eigenvectors of G = b' r b, a = b p. It minimises E||x (b - a p')||^2 for inputs with E[x'x] = r,
 * without a matrix square root or inverse (EoRA, arXiv 2410.21271; QERA-exact, arXiv 2410.06040).
 * @param eigenvalues of G, descending: how much squared error each rank takes away
 */
export function lowRank(
  b: Float64Array,
  r: Float64Array,
  n: number,
  m: number,
  rank: number,
): { a: Float32Array; b: Float32Array; rank: number; eigenvalues: number[] } {
  const { vectors, values } = m <= n ? outputSide(b, r, n, m) : inputSide(b, r, n, m);
  const k = Math.min(rank, values.length);
  const p = new Float64Array(m * k);
  for (let j = 0; j < m; j++) for (let c = 0; c < k; c++) p[j * k + c] = vectors[c][j];
  const a = product(b, p, n, m, k);
  const transposed = Float32Array.from({ length: k * m }, (_, i) => p[(i % m) * k + Math.floor(i / m)]);
  return { a: Float32Array.from(a), b: transposed, rank: k, eigenvalues: values };
}

/** Eigenvectors of b' r b, m x m. */
function outputSide(b: Float64Array, r: Float64Array, n: number, m: number): Spectrum {
  return spectrum(crossProduct(b, product(r, b, n, n, m), n, m, m), m);
}

/** The same for n < m through the n x n problem: with r = l l' and s = l' b, they are s' u / |s' u| for u of s s'. */
function inputSide(b: Float64Array, r: Float64Array, n: number, m: number): Spectrum {
  const l = flat(new CholeskyDecomposition(matrix(r, n, n)).lowerTriangularMatrix, n, n);
  const s = crossProduct(l, b, n, n, m);
  const { vectors, values } = spectrum(product(s, transpose(s, n, m), n, m, n), n);
  return { values, vectors: vectors.map((u) => normalised(product(u, s, 1, n, m))) };
}

interface Spectrum {
  readonly values: number[];
  readonly vectors: Float64Array[];
}

/** Eigenpairs of a symmetric matrix, the greatest first. */
function spectrum(g: Float64Array, n: number): Spectrum {
  const { realEigenvalues, eigenvectorMatrix } = new EigenvalueDecomposition(matrix(g, n, n), {
    assumeSymmetric: true,
  });
  const order = realEigenvalues.map((_, i) => i).sort((i, j) => realEigenvalues[j] - realEigenvalues[i]);
  return {
    values: order.map((i) => Math.max(0, realEigenvalues[i])),
    vectors: order.map((i) => Float64Array.from(eigenvectorMatrix.getColumn(i))),
  };
}

function normalised(v: Float64Array): Float64Array {
  const norm = Math.sqrt(v.reduce((sum, x) => sum + x * x, 0));
  return norm > 0 ? v.map((x) => x / norm) : v;
}

function transpose(a: Float64Array, rows: number, columns: number): Float64Array {
  return Float64Array.from({ length: a.length }, (_, i) => a[(i % rows) * columns + Math.floor(i / rows)]);
}

function matrix(data: Float64Array, rows: number, columns: number): Matrix {
  return Matrix.from1DArray(rows, columns, data);
}

function flat(from: Matrix, rows: number, columns: number): Float64Array {
  const out = new Float64Array(rows * columns);
  for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) out[i * columns + j] = from.get(i, j);
  return out;
}
