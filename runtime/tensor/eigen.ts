import { EigenvalueDecomposition, Matrix } from "ml-matrix";
import { uniform } from "../base/random.ts";

/** Eigenvalues of a symmetric positive semidefinite matrix, the greatest first, and their vectors. */
export interface Eigenpairs {
  readonly values: readonly number[];
  readonly vectors: readonly Float64Array[];
}

/** Up to this size, or if more than a quarter of them is asked for, all pairs are found as fast as a few. */
const SMALL = 64;
/** Steps before the first look, beside two for each pair. */
const STEPS = 32;
/** A pair has converged when its residual is this share of the greatest eigenvalue: its value is then off by far less. */
const CONVERGED = 1e-8;
/** A new direction that is shorter, as a share of the longest so far, is rounding error: the subspace is invariant. */
const EXHAUSTED = 1e-12;

/**
 * The first `count` eigenpairs of g (n x n): by Lanczos' method with complete reorthogonalization (Golub and Van Loan,
 * Matrix Computations, 10.3). The greatest of a layer's error are a few among many, and finding eight of 128 takes an
 * eighth of the time of all.
 */
export function leadingPairs(g: Float64Array, n: number, count: number): Eigenpairs {
  if (n <= SMALL || 4 * count > n) return allPairs(g, n, count);
  const subspace = new KrylovSubspace(g, n);
  for (let steps = 2 * count + STEPS; ; steps = Math.ceil(1.5 * steps)) {
    while (subspace.size < Math.min(n, steps)) subspace.extend();
    const { residuals, ...pairs } = subspace.pairs(count);
    if (steps >= n || residuals.every((residual) => residual <= CONVERGED * pairs.values[0])) return pairs;
  }
}

/** Spanned by v, g v, g g v, ..: orthonormal vectors q with q g q' tridiagonal. */
class KrylovSubspace {
  readonly #g: Float64Array;
  readonly #n: number;
  readonly #basis: Float64Array[] = [];
  /** Of the tridiagonal matrix; the last of `beside` is the length of what the next vector would be. */
  readonly #diagonal: number[] = [];
  readonly #beside: number[] = [];
  readonly #next = uniform(1);
  #direction: Float64Array;

  constructor(g: Float64Array, n: number) {
    this.#g = g;
    this.#n = n;
    this.#direction = this.#random();
  }

  get size(): number {
    return this.#basis.length;
  }

  extend(): void {
    const q = scaled(this.#direction, 1 / norm(this.#direction));
    this.#basis.push(q);
    const image = new Float64Array(this.#n);
    for (let i = 0; i < this.#n; i++) image[i] = dot(this.#g.subarray(i * this.#n, (i + 1) * this.#n), q);
    this.#diagonal.push(dot(image, q));
    this.#removeBasis(image);
    const length = norm(image);
    const isExhausted = length <= EXHAUSTED * Math.max(...this.#diagonal, ...this.#beside);
    this.#beside.push(isExhausted ? 0 : length);
    this.#direction = isExhausted ? this.#random() : image;
  }

  /** The first of those in the subspace, and how far each is from g's own: |g u - value u|. */
  pairs(count: number): Eigenpairs & { readonly residuals: readonly number[] } {
    const m = this.size;
    const tridiagonal = new Float64Array(m * m);
    for (let i = 0; i < m; i++) {
      tridiagonal[i * m + i] = this.#diagonal[i];
      if (i > 0) tridiagonal[i * m + i - 1] = tridiagonal[(i - 1) * m + i] = this.#beside[i - 1];
    }
    const { values, vectors } = allPairs(tridiagonal, m, count);
    const lifted = vectors.map((shares) => {
      const vector = new Float64Array(this.#n);
      for (const [i, q] of this.#basis.entries()) add(vector, q, shares[i]);
      return vector;
    });
    return {
      values,
      vectors: lifted,
      residuals: vectors.map((shares) => Math.abs(this.#beside[m - 1] * shares[m - 1])),
    };
  }

  /** Of nothing that is there already. */
  #random(): Float64Array {
    const direction = Float64Array.from({ length: this.#n }, () => this.#next() - 0.5);
    this.#removeBasis(direction);
    return direction;
  }

  /** Twice is enough (Kahan and Parlett). */
  #removeBasis(vector: Float64Array): void {
    for (let time = 0; time < 2; time++) for (const q of this.#basis) add(vector, q, -dot(vector, q));
  }
}

function allPairs(g: Float64Array, n: number, count: number): Eigenpairs {
  const { realEigenvalues, eigenvectorMatrix } = new EigenvalueDecomposition(Matrix.from1DArray(n, n, g), {
    assumeSymmetric: true,
  });
  const order = realEigenvalues.map((_, i) => i).sort((i, j) => realEigenvalues[j] - realEigenvalues[i]);
  const wanted = order.slice(0, count);
  return {
    values: wanted.map((i) => Math.max(0, realEigenvalues[i])),
    vectors: wanted.map((i) => Float64Array.from(eigenvectorMatrix.getColumn(i))),
  };
}

/** In four sums, none of which waits for another. */
function dot(a: Float64Array, b: Float64Array): number {
  let [s0, s1, s2, s3] = [0, 0, 0, 0];
  let i = 0;
  for (; i + 3 < a.length; i += 4) {
    s0 += a[i] * b[i];
    s1 += a[i + 1] * b[i + 1];
    s2 += a[i + 2] * b[i + 2];
    s3 += a[i + 3] * b[i + 3];
  }
  for (; i < a.length; i++) s0 += a[i] * b[i];
  return s0 + s1 + (s2 + s3);
}

function norm(a: Float64Array): number {
  return Math.sqrt(dot(a, a));
}

function scaled(a: Float64Array, by: number): Float64Array {
  return a.map((x) => by * x);
}

/** to += by * a. */
function add(to: Float64Array, a: Float64Array, by: number): void {
  for (let i = 0; i < to.length; i++) to[i] += by * a[i];
}
