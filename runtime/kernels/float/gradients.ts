import type { Window } from "../../model/graph.ts";
import type { Pair } from "./operations.ts";
import type { Tensor, Tensor4D, Tf } from "./tfjs.ts";
import { averagedBack, maximumBack } from "./windows.ts";

/**
 * The derivatives of the operators that training needs. tfjs-core has them all, but only in files that Node cannot
 * import, and not in the bundle that it can. What is linear in the weights, a convolution above all, is differentiated
 * where it is used: the WebAssembly backend has no kernel for the gradient of a filter.
 */
export function registerGradients(tf: Tf): void {
  if (tf.getGradient(tf.Reshape)) return;
  for (const gradient of [...rearranging(tf), ...elementwise(tf), ...summing(tf)]) tf.registerGradient(gradient);
}

type Gradient = Parameters<Tf["registerGradient"]>[0];

/** Numbers that only move. */
function rearranging(tf: Tf): Gradient[] {
  return [
    // Everything here is float32, so a cast changes nothing.
    { kernelName: tf.Cast, gradFunc: (dy) => ({ x: () => one(dy) }) },
    {
      kernelName: tf.Reshape,
      inputsToSave: ["x"],
      gradFunc: (dy, [x]) => ({ x: () => tf.reshape(one(dy), x.shape) }),
    },
    {
      kernelName: tf.Transpose,
      gradFunc: (dy, _, { perm }) => ({ x: () => tf.transpose(one(dy), inverse([perm].flat().map(Number))) }),
    },
    {
      kernelName: tf.PadV2,
      inputsToSave: ["x"],
      gradFunc: (dy, [x], { paddings }) => {
        const before = (paddings as unknown as [number, number][]).map(([first]) => first);
        return { x: () => tf.slice(one(dy), before, x.shape) };
      },
    },
    {
      kernelName: tf.Slice,
      inputsToSave: ["x"],
      gradFunc: (dy, [x], { begin, size }) => {
        const [first, length] = [begin as unknown as number[], size as unknown as number[]];
        const around = x.shape.map((all, i): [number, number] => [first[i], all - first[i] - lengthOf(i)]);
        function lengthOf(axis: number): number {
          return length[axis] === -1 ? x.shape[axis] - first[axis] : length[axis];
        }
        return { x: () => tf.pad(one(dy), around) };
      },
    },
    {
      kernelName: tf.Concat,
      saveAllInputs: true,
      gradFunc: (dy, inputs, { axis }) => {
        const sizes = inputs.map(({ shape }) => shape[Number(axis)]);
        const parts = tf.split(one(dy), sizes, Number(axis));
        return Object.fromEntries(parts.map((part, i) => [i, () => part]));
      },
    },
    {
      kernelName: tf.Unpack,
      gradFunc: (dy, _, { axis }) => ({ value: () => tf.stack([dy].flat(), Number(axis)) }),
    },
    {
      kernelName: tf.Pack,
      saveAllInputs: true,
      gradFunc: (dy, _, { axis }) => {
        const parts = tf.unstack(one(dy), Number(axis));
        return Object.fromEntries(parts.map((part, i) => [i, () => part]));
      },
    },
    {
      kernelName: tf.SplitV,
      gradFunc: (dy, _, { axis }) => ({ x: () => tf.concat([dy].flat(), Number(axis)) }),
    },
  ];
}

/** One number at a time. */
function elementwise(tf: Tf): Gradient[] {
  const through = (of: (dy: Tensor, saved: Tensor, attributes: Record<string, unknown>) => Tensor) =>
    ((dy, [saved], attributes) => ({ x: () => of(one(dy), saved, { ...attributes }) })) satisfies Gradient["gradFunc"];
  return [
    { kernelName: tf.Relu, inputsToSave: ["x"], gradFunc: through((dy, x) => tf.mul(dy, tf.step(x))) },
    {
      kernelName: tf.ClipByValue,
      inputsToSave: ["x"],
      gradFunc: through((dy, x, { clipValueMin, clipValueMax }) => {
        const [above, below] = [tf.step(tf.sub(x, Number(clipValueMin))), tf.step(tf.sub(Number(clipValueMax), x))];
        return tf.mul(dy, tf.mul(above, below));
      }),
    },
    {
      kernelName: tf.Sigmoid,
      outputsToSave: [true],
      gradFunc: through((dy, y) => tf.mul(dy, tf.mul(y, tf.sub(1, y)))),
    },
    {
      kernelName: tf.Tanh,
      outputsToSave: [true],
      gradFunc: through((dy, y) => tf.mul(dy, tf.sub(1, tf.square(y)))),
    },
    {
      kernelName: tf.LeakyRelu,
      inputsToSave: ["x"],
      gradFunc: through((dy, x, { alpha }) => tf.mul(dy, tf.step(x, Number(alpha)))),
    },
    {
      kernelName: tf.Rsqrt,
      inputsToSave: ["x"],
      gradFunc: through((dy, x) => tf.mul(dy, tf.div(-0.5, tf.mul(x, tf.sqrt(x))))),
    },
    {
      kernelName: tf.Softmax,
      outputsToSave: [true],
      gradFunc: (dy, [y]) => ({
        logits: () => {
          const weighted = tf.mul(one(dy), y);
          return tf.sub(weighted, tf.mul(tf.sum(weighted, [y.rank - 1], true), y));
        },
      }),
    },
  ];
}

/** Several numbers to one, or one operand repeated. */
function summing(tf: Tf): Gradient[] {
  const saved = { inputsToSave: ["a", "b"] };
  return [
    {
      kernelName: tf.Sum,
      inputsToSave: ["x"],
      gradFunc: (dy, [x], { axis }) => {
        const summed = (i: number): boolean => axis === null || axis === undefined || [axis].flat().includes(i);
        const kept = x.shape.map((length, i) => (summed(i) ? 1 : length));
        return { x: () => tf.mul(tf.reshape(one(dy), kept), tf.onesLike(x)) };
      },
    },
    {
      kernelName: tf.Add,
      ...saved,
      gradFunc: (dy, [a, b]) => ({ a: () => reduced(tf, one(dy), a.shape), b: () => reduced(tf, one(dy), b.shape) }),
    },
    {
      kernelName: tf.Sub,
      ...saved,
      gradFunc: (dy, [a, b]) => ({
        a: () => reduced(tf, one(dy), a.shape),
        b: () => reduced(tf, tf.mul(one(dy), -1), b.shape),
      }),
    },
    {
      kernelName: tf.Multiply,
      ...saved,
      gradFunc: (dy, [a, b]) => ({
        a: () => reduced(tf, tf.mul(one(dy), b), a.shape),
        b: () => reduced(tf, tf.mul(one(dy), a), b.shape),
      }),
    },
    {
      kernelName: tf.BatchMatMul,
      ...saved,
      gradFunc: (dy, [a, b]) => ({
        a: () => tf.matMul(one(dy), turned(tf, b)),
        b: () => tf.matMul(turned(tf, a), one(dy)),
      }),
    },
    {
      kernelName: tf.AvgPool,
      inputsToSave: ["x"],
      gradFunc: (dy, [x], attributes) => ({
        x: () => averagedBack(tf, poolingOf(attributes), one(dy) as Tensor4D, (x as Tensor4D).shape),
      }),
    },
    {
      kernelName: tf.MaxPool,
      inputsToSave: ["x"],
      outputsToSave: [true],
      gradFunc: (dy, [x, y], attributes) => ({
        x: () => maximumBack(tf, poolingOf(attributes), one(dy) as Tensor4D, x as Tensor4D, y as Tensor4D),
      }),
    },
  ];
}

/** Pads are "valid" or as operations.ts gives them. */
function poolingOf(attributes: unknown): Pick<Window, "kernel" | "stride" | "pads"> {
  const { filterSize, strides, pad } = attributes as { filterSize: Pair; strides: Pair; pad: "valid" | Pair[] };
  const [, [top, bottom], [left, right]] = pad === "valid" ? NONE : pad;
  return { kernel: filterSize, stride: strides, pads: [top, left, bottom, right] };
}

const NONE: readonly Pair[] = [
  [0, 0],
  [0, 0],
  [0, 0],
];

function one(dy: Tensor | Tensor[]): Tensor {
  return Array.isArray(dy) ? dy[0] : dy;
}

function inverse(permutation: number[]): number[] {
  return permutation.map((_, i) => permutation.indexOf(i));
}

/** Transposed as a step of its own: the backend multiplies thirty times slower with its transpose flags. */
function turned(tf: Tf, x: Tensor): Tensor {
  return tf.transpose(x, [1, 0]);
}

/** Sums over the axes along which an operand of this shape was repeated. */
function reduced(tf: Tf, dy: Tensor, shape: number[]): Tensor {
  const added = dy.rank - shape.length;
  const axes = dy.shape.flatMap((length, i) => (i < added || (length > 1 && shape[i - added] === 1) ? [i] : []));
  if (axes.length === 0) return tf.reshape(dy, shape);
  const leading = axes.every((axis, i) => axis === i);
  return tf.reshape(leading ? sumOfRows(tf, dy, axes.length) : tf.sum(dy, axes), shape);
}

/** Sum over the first `axes` axes, as a product: the backend's own sum transposes its input first. */
export function sumOfRows(tf: Tf, x: Tensor, axes: number): Tensor {
  const rows = x.shape.slice(0, axes).reduce((size, length) => size * length, 1);
  const sum = tf.matMul(tf.ones([1, rows]), tf.reshape(x, [rows, x.size / rows]));
  return tf.reshape(sum, x.shape.slice(axes));
}
