import * as tf from "@tensorflow/tfjs-core";

/**
 * The derivatives of the operations that network.ts is made of. tfjs-core has them all, but only in files that Node
 * cannot import, and not in the bundle that it can.
 */
export function registerGradients(): void {
  for (const gradient of gradients) tf.registerGradient(gradient);
}

const gradients: tf.GradConfig[] = [
  // Everything here is float32, so a cast changes nothing.
  { kernelName: tf.Cast, gradFunc: (dy) => ({ x: () => one(dy) }) },
  {
    kernelName: tf.Reshape,
    inputsToSave: ["x"],
    gradFunc: (dy, [x]) => ({ x: () => tf.reshape(one(dy), x.shape) }),
  },
  {
    kernelName: tf.Relu,
    inputsToSave: ["x"],
    gradFunc: (dy, [x]) => ({ x: () => tf.mul(one(dy), tf.step(x)) }),
  },
  {
    kernelName: tf.Transpose,
    gradFunc: (dy, _, { perm }) => ({ x: () => tf.transpose(one(dy), inverse([perm].flat().map(Number))) }),
  },
  {
    kernelName: tf.Rsqrt,
    inputsToSave: ["x"],
    gradFunc: (dy, [x]) => ({ x: () => tf.mul(one(dy), tf.div(-0.5, tf.mul(x, tf.sqrt(x)))) }),
  },
  {
    kernelName: tf.Sum,
    inputsToSave: ["x"],
    gradFunc: (dy, [x], { axis }) => {
      const kept = x.shape.map((length, i) => ([axis].flat().includes(i) ? 1 : length));
      return { x: () => tf.mul(tf.reshape(one(dy), kept), tf.onesLike(x)) };
    },
  },
  {
    kernelName: tf.Add,
    inputsToSave: ["a", "b"],
    gradFunc: (dy, [a, b]) => ({ a: () => reduced(one(dy), a.shape), b: () => reduced(one(dy), b.shape) }),
  },
  {
    kernelName: tf.Sub,
    inputsToSave: ["a", "b"],
    gradFunc: (dy, [a, b]) => ({ a: () => reduced(one(dy), a.shape), b: () => reduced(tf.mul(one(dy), -1), b.shape) }),
  },
  {
    kernelName: tf.Multiply,
    inputsToSave: ["a", "b"],
    gradFunc: (dy, [a, b]) => ({
      a: () => reduced(tf.mul(one(dy), b), a.shape),
      b: () => reduced(tf.mul(one(dy), a), b.shape),
    }),
  },
  {
    kernelName: tf.BatchMatMul,
    inputsToSave: ["a", "b"],
    gradFunc: (dy, [a, b]) => ({
      a: () => tf.matMul(one(dy), turned(b)),
      b: () => tf.matMul(turned(a), one(dy)),
    }),
  },
];

function one(dy: tf.Tensor | tf.Tensor[]): tf.Tensor {
  return Array.isArray(dy) ? dy[0] : dy;
}

function inverse(permutation: number[]): number[] {
  return permutation.map((_, i) => permutation.indexOf(i));
}

/** Transposed as a step of its own: the backend multiplies thirty times slower with its transpose flags. */
function turned(x: tf.Tensor): tf.Tensor {
  return tf.transpose(x, [1, 0]);
}

/** Sums over the axes along which an operand of this shape was repeated. */
function reduced(dy: tf.Tensor, shape: number[]): tf.Tensor {
  const added = dy.rank - shape.length;
  const axes = dy.shape.flatMap((length, i) => (i < added || (length > 1 && shape[i - added] === 1) ? [i] : []));
  if (axes.length === 0) return tf.reshape(dy, shape);
  const leading = axes.every((axis, i) => axis === i);
  return tf.reshape(leading ? sumOfRows(dy, axes.length) : tf.sum(dy, axes), shape);
}

/** Sum over the first `axes` axes, as a product: the backend's own sum transposes its input first. */
export function sumOfRows(x: tf.Tensor, axes: number): tf.Tensor {
  const rows = x.shape.slice(0, axes).reduce((size, length) => size * length, 1);
  const sum = tf.matMul(tf.ones([1, rows]), tf.reshape(x, [rows, x.size / rows]));
  return tf.reshape(sum, x.shape.slice(axes));
}
