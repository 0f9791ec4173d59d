import { suite } from "uvu";
import * as assert from "uvu/assert";
import { leadingPairs } from "../../runtime/tensor/eigen.ts";
import { lowRank, ridged, solve } from "../../runtime/tensor/linear.ts";
import { crossProduct, product, secondMoment } from "../../runtime/tensor/products.ts";
import { normals } from "../support/random.ts";

const test = suite("linear");

/** E||x (b - a p)||^2 for inputs x with second moment r. */
function lossOf(
  b: Float64Array,
  a: Float32Array | Float64Array,
  p: Float32Array | Float64Array,
  r: Float64Array,
  n: number,
  m: number,
): number {
  const rank = p.length / m;
  const left = b.map((value, i) => value - product(a, p, n, rank, m)[i]);
  const inner = crossProduct(left, product(r, left, n, n, m), n, m, m);
  return Array.from({ length: m }, (_, j) => inner[j * m + j]).reduce((sum, value) => sum + value, 0);
}

for (const [n, m] of [
  [12, 7],
  [7, 12],
]) {
  const b = Float64Array.from(normals(n * m, 1));
  const r = ridged(
    secondMoment(
      normals(40 * n, 2).map((x, i) => x * (1 + (i % n))),
      40,
      n,
    ),
    n,
    1e-9,
  );

  test(`lowRank of ${n} x ${m}: the loss is the sum of the eigenvalues that are left out`, () => {
    for (const rank of [1, 3, 5]) {
      const { a, b: p, left } = lowRank(b, r, n, m, rank);
      const loss = lossOf(b, a, p, r, n, m);
      assert.ok(Math.abs(loss - left) < 1e-4 * left, `rank ${rank}: ${loss} instead of ${left}`);
    }
  });

  test(`lowRank of ${n} x ${m}: no small change of its factors does better`, () => {
    const { a, b: p } = lowRank(b, r, n, m, 3);
    const best = lossOf(b, a, p, r, n, m);
    for (let seed = 0; seed < 20; seed++) {
      const moved = a.map((value, i) => value + 1e-2 * normals(a.length, seed)[i]);
      assert.ok(lossOf(b, moved, p, r, n, m) > best);
    }
  });

  test(`lowRank of ${n} x ${m}: full rank leaves nothing`, () => {
    const { a, b: p } = lowRank(b, r, n, m, Math.min(n, m));
    assert.ok(lossOf(b, a, p, r, n, m) < 1e-6 * lossOf(b, new Float64Array(n), new Float64Array(m), r, n, m));
  });
}

/** With these eigenvalues, and vectors that are no unit ones. */
function symmetric(values: Float64Array): Float64Array {
  const n = values.length;
  const turned = Float64Array.from({ length: n * n }, (_, i) => (i % (n + 1) === 0 ? 1 : 0) - 2 / n);
  const stretched = turned.map((x, i) => x * values[i % n]);
  return product(stretched, turned, n, n, n);
}

const spectra: [name: string, eigenvalue: (i: number) => number][] = [
  ["far apart", (i) => 2 ** -i],
  ["close together", (i) => 2 - i / 1000],
  ["all the same", () => 3],
  ["two different ones, many times", (i) => (i < 5 ? 2 : 1)],
  ["few that are not zero", (i) => (i < 3 ? 5 - i : 0)],
  ["nothing", () => 0],
];
for (const [name, eigenvalue] of spectra) {
  test(`the greatest of many eigenvalues, ${name}`, () => {
    const values = Float64Array.from({ length: 96 }, (_, i) => eigenvalue(i));
    const g = symmetric(values);
    const found = leadingPairs(g, 96, 7);
    for (const [i, vector] of found.vectors.entries()) {
      assert.ok(Math.abs(found.values[i] - values[i]) < 1e-9, `${found.values[i]} instead of ${values[i]}`);
      const image = product(g, vector, 96, 96, 1);
      for (const [row, x] of vector.entries()) assert.ok(Math.abs(image[row] - found.values[i] * x) < 1e-6);
      for (const [k, other] of found.vectors.entries()) {
        const inner = product(vector, other, 1, 96, 1)[0];
        assert.ok(Math.abs(inner - (i === k ? 1 : 0)) < 1e-9, `${i}, ${k}: ${inner}`);
      }
    }
  });
}

test("solve undoes a product with a positive definite matrix", () => {
  const a = ridged(secondMoment(normals(30 * 6, 3), 30, 6), 6, 0.1);
  const z = Float64Array.from(normals(6 * 4, 4));
  const found = solve(a, product(a, z, 6, 6, 4), 6, 4);
  for (const [i, value] of z.entries()) assert.ok(Math.abs(found[i] - value) < 1e-9);
});

test.run();
