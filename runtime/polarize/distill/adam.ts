/** arXiv 1412.6980, algorithm 1. */
const MEAN = 0.9;
const SQUARE = 0.999;
const LEAST = 1e-12;

/** Changes numbers against their gradient, at a rate; `unit` is how large a change of one of them is. */
export type Descent = (gradient: ArrayLike<number>, rate: number) => void;

/** Adam on `values`, in place. */
export function adam(values: Float32Array | Float64Array, unit: number): Descent {
  const mean = new Float64Array(values.length);
  const square = new Float64Array(values.length);
  let [meanLeft, squareLeft] = [1, 1];
  return (gradient, rate) => {
    meanLeft *= MEAN;
    squareLeft *= SQUARE;
    for (let i = 0; i < values.length; i++) {
      const g = gradient[i];
      mean[i] += (1 - MEAN) * (g - mean[i]);
      square[i] += (1 - SQUARE) * (g * g - square[i]);
      values[i] -= (rate * unit * mean[i]) / (1 - meanLeft) / (Math.sqrt(square[i] / (1 - squareLeft)) + LEAST);
    }
  };
}
