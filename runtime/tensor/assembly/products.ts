/**
 * c[i, j] += sum over l of a(i, l) * b[l, j] in f64, tiles of 4 x 4 in registers. n and m are multiples of 4.
 * All steps are in bytes: `aRow` from one i to the next, `aStep` from one l to the next. With `upper` tiles left of the
 * diagonal are left out. (aRow, aStep) = (8, pitch) multiplies by the transpose of what lies at `a`.
 */
export function accumulate(
  a: usize, aRow: usize, aStep: usize,
  b: usize, bPitch: usize,
  c: usize, cPitch: usize,
  n: i32, m: i32, k: i32, upper: bool,
): void {
  for (let i = 0; i < n; i += 4) {
    for (let j = upper ? i : 0; j < m; j += 4) {
      tile(a + <usize>i * aRow, aRow, aStep, b + (<usize>j << 3), bPitch, c + <usize>i * cPitch + (<usize>j << 3), cPitch, k);
    }
  }
}

@inline
function tile(a: usize, aRow: usize, aStep: usize, b: usize, bPitch: usize, c: usize, cPitch: usize, k: i32): void {
  const a1 = aRow, a2 = a1 + aRow, a3 = a2 + aRow;
  const c1 = c + cPitch, c2 = c1 + cPitch, c3 = c2 + cPitch;
  let s00 = v128.load(c), s01 = v128.load(c, 16), s10 = v128.load(c1), s11 = v128.load(c1, 16);
  let s20 = v128.load(c2), s21 = v128.load(c2, 16), s30 = v128.load(c3), s31 = v128.load(c3, 16);
  for (let l = 0; l < k; l++) {
    const b0 = v128.load(b), b1 = v128.load(b, 16);
    const x0 = v128.load64_splat(a), x1 = v128.load64_splat(a + a1);
    s00 = f64x2.add(s00, f64x2.mul(x0, b0));
    s01 = f64x2.add(s01, f64x2.mul(x0, b1));
    s10 = f64x2.add(s10, f64x2.mul(x1, b0));
    s11 = f64x2.add(s11, f64x2.mul(x1, b1));
    const x2 = v128.load64_splat(a + a2), x3 = v128.load64_splat(a + a3);
    s20 = f64x2.add(s20, f64x2.mul(x2, b0));
    s21 = f64x2.add(s21, f64x2.mul(x2, b1));
    s30 = f64x2.add(s30, f64x2.mul(x3, b0));
    s31 = f64x2.add(s31, f64x2.mul(x3, b1));
    a += aStep;
    b += bPitch;
  }
  v128.store(c, s00);
  v128.store(c, s01, 16);
  v128.store(c1, s10);
  v128.store(c1, s11, 16);
  v128.store(c2, s20);
  v128.store(c2, s21, 16);
  v128.store(c3, s30);
  v128.store(c3, s31, 16);
}
