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

/**
 * x' x / samples for x (samples x n): symmetric, n x n. Most of the time of a calibration is spent here, so x is
 * transposed and four sums run at once, each number loaded for two of them (three times as fast as one by one).
 */
export function secondMoment(x: ArrayLike<number>, samples: number, n: number): Float64Array {
  const columns = columnsOf(x, samples, n);
  const out = new Float64Array(n * n);
  const put = (i: number, j: number, sum: number): void => {
    if (i >= n || j >= n) return;
    out[i * n + j] = sum / samples;
    out[j * n + i] = sum / samples;
  };
  for (let i = 0; i < n; i += 2) {
    for (let j = i; j < n; j += 2) {
      const [a, b, c, d] = [i * samples, (i + 1) * samples, j * samples, (j + 1) * samples];
      let ac = 0;
      let ad = 0;
      let bc = 0;
      let bd = 0;
      for (let l = 0; l < samples; l++) {
        ac += columns[a + l] * columns[c + l];
        ad += columns[a + l] * columns[d + l];
        bc += columns[b + l] * columns[c + l];
        bd += columns[b + l] * columns[d + l];
      }
      put(i, j, ac);
      put(i, j + 1, ad);
      put(i + 1, j, bc);
      put(i + 1, j + 1, bd);
    }
  }
  return out;
}

/** The transpose, with a column of zeros where n is odd. */
function columnsOf(x: ArrayLike<number>, samples: number, n: number): Float64Array {
  const columns = new Float64Array((n + (n & 1)) * samples);
  for (let l = 0; l < samples; l++) for (let i = 0; i < n; i++) columns[i * samples + l] = x[l * n + i];
  return columns;
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
 * The upper triangular u with u' u = a^-1, for symmetric positive definite a (n x n): with the order of rows and
 * columns reversed, a = l l' and u is the reversed inverse of l, so a is never inverted itself.
 */
export function inverseFactor(a: Float64Array, n: number): Float64Array {
  const reversed = a.map((_, i) => a[n * n - 1 - i]);
  const l = flat(new CholeskyDecomposition(matrix(reversed, n, n)).lowerTriangularMatrix, n, n);
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
