import { suite } from "uvu";
import * as assert from "uvu/assert";
import { crossProduct, product, secondMoment } from "../../runtime/tensor/products.ts";
import { normals } from "../support/random.ts";

const test = suite("products");

/** Sizes that fill tiles of four and chunks of 128, and such that don't. */
const sizes = [
  [1, 1, 1],
  [4, 8, 4],
  [5, 3, 7],
  [128, 16, 12],
  [129, 17, 13],
  [300, 9, 21],
] as const;

for (const [k, n, m] of sizes) {
  const a = normals(k * n, 1);
  const b = normals(k * m, 2);
  const c = normals(n * m, 3);

  test(`${k} x ${n} times ${n} x ${m} is what the definition says`, () => {
    const expected = sums(k, m, n, (i, j, l) => a[i * n + l] * c[l * m + j]);
    assertClose(product(a, c, k, n, m), expected);
  });

  test(`the transpose of ${k} x ${n} times ${k} x ${m} is what the definition says`, () => {
    const expected = sums(n, m, k, (i, j, l) => a[l * n + i] * b[l * m + j]);
    assertClose(crossProduct(a, b, k, n, m), expected);
  });

  test(`second moments of ${k} vectors of ${n} are symmetric means of products`, () => {
    const expected = sums(n, n, k, (i, j, l) => (a[l * n + i] * a[l * n + j]) / k);
    assertClose(secondMoment(a, k, n), expected);
  });
}

test("bytes are multiplied as numbers", () => {
  assert.equal([...product(Uint8Array.of(255, 1), Float32Array.of(2, 3), 1, 2, 1)], [513]);
});

function sums(n: number, m: number, k: number, term: (i: number, j: number, l: number) => number): Float64Array {
  return Float64Array.from({ length: n * m }, (_, at) => {
    let sum = 0;
    for (let l = 0; l < k; l++) sum += term(Math.floor(at / m), at % m, l);
    return sum;
  });
}

function assertClose(found: Float64Array, expected: Float64Array): void {
  assert.is(found.length, expected.length);
  for (const [i, value] of expected.entries()) assert.ok(Math.abs(found[i] - value) < 1e-12 * (1 + Math.abs(value)));
}

test.run();
