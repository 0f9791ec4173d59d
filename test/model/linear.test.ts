import { suite } from "uvu";
import * as assert from "uvu/assert";
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
      const { a, b: p, eigenvalues } = lowRank(b, r, n, m, rank);
      const left = eigenvalues.slice(rank).reduce((sum, value) => sum + value, 0);
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

test("solve undoes a product with a positive definite matrix", () => {
  const a = ridged(secondMoment(normals(30 * 6, 3), 30, 6), 6, 0.1);
  const z = Float64Array.from(normals(6 * 4, 4));
  const found = solve(a, product(a, z, 6, 6, 4), 6, 4);
  for (const [i, value] of z.entries()) assert.ok(Math.abs(found[i] - value) < 1e-9);
});

test.run();
