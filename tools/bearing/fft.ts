/** In-place complex transform of one length, a power of two (Cooley and Tukey 1965). */
export function fourier(length: number): (re: Float64Array, im: Float64Array) => void {
  const bits = Math.log2(length);
  const cos = Float64Array.from({ length: length / 2 }, (_, i) => Math.cos((2 * Math.PI * i) / length));
  const sin = Float64Array.from({ length: length / 2 }, (_, i) => -Math.sin((2 * Math.PI * i) / length));
  const reversed = Uint32Array.from({ length }, (_, i) => reverse(i, bits));
  return (re, im) => {
    permute(re, reversed);
    permute(im, reversed);
    for (let half = 1; half < length; half *= 2) butterflies(re, im, half, cos, sin);
  };
}

function butterflies(re: Float64Array, im: Float64Array, half: number, cos: Float64Array, sin: Float64Array): void {
  const stride = cos.length / half;
  for (let start = 0; start < re.length; start += 2 * half) {
    for (let k = 0; k < half; k++) {
      const a = start + k;
      const b = a + half;
      const x = re[b] * cos[k * stride] - im[b] * sin[k * stride];
      const y = re[b] * sin[k * stride] + im[b] * cos[k * stride];
      re[b] = re[a] - x;
      im[b] = im[a] - y;
      re[a] += x;
      im[a] += y;
    }
  }
}

function reverse(index: number, bits: number): number {
  let result = 0;
  for (let bit = 0; bit < bits; bit++) result |= ((index >> bit) & 1) << (bits - 1 - bit);
  return result;
}

function permute(values: Float64Array, order: Uint32Array): void {
  for (let i = 0; i < values.length; i++) {
    const j = order[i];
    if (i >= j) continue;
    const value = values[i];
    values[i] = values[j];
    values[j] = value;
  }
}

/** |X[k]|^2 of the real signal that went in as `re`, when another one went in as `im`. */
export function powerOfFirst(re: Float64Array, im: Float64Array, k: number): number {
  const mirror = (re.length - k) & (re.length - 1);
  return ((re[k] + re[mirror]) ** 2 + (im[k] - im[mirror]) ** 2) / 4;
}

/** |X[k]|^2 of the real signal that went in as `im`. */
export function powerOfSecond(re: Float64Array, im: Float64Array, k: number): number {
  const mirror = (re.length - k) & (re.length - 1);
  return ((im[k] + im[mirror]) ** 2 + (re[k] - re[mirror]) ** 2) / 4;
}

/** Von Hann's window. */
export function hann(length: number): Float64Array {
  return Float64Array.from({ length }, (_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / length));
}
