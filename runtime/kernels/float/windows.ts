import type { Window } from "../../model/graph.ts";
import { type Pair, spatial } from "./operations.ts";
import type { Tensor, Tensor4D, Tf } from "./tfjs.ts";

/**
 * Convolutions that can be differentiated. The WebAssembly backend has no kernel for the gradient of a filter and a slow
 * one for that of an input; both are convolutions themselves, of which it has fast ones (V. Dumoulin and F. Visin, arXiv
 * 1603.07285, chapter 4).
 */

/** @param x samples x height x width x channels @param filter kernel height x kernel width x channels x outputs */
export function convolved(tf: Tf, window: Window, x: Tensor4D, filter: Tensor4D): Tensor4D {
  const apply = tf.customGrad((input, weights, save) => {
    const [given, used] = [input as Tensor4D, weights as Tensor4D];
    (save as (tensors: Tensor[]) => void)([given, used]);
    return {
      value: convolution(tf, window, given, used),
      gradFunc: (dy, saved) => {
        const [seen, by] = saved as Tensor4D[];
        return [
          towardsInput(tf, window, dy as Tensor4D, by, seen),
          towardsFilter(tf, window, dy as Tensor4D, seen, by),
        ];
      },
    };
  });
  return apply(x, filter) as Tensor4D;
}

/** A depthwise convolution whose filter is fixed: only its input has a gradient. */
export function channelwise(tf: Tf, window: Window, x: Tensor4D, filter: Tensor4D): Tensor4D {
  const { shape } = x;
  const apply = tf.customGrad((input, save) => {
    (save as (tensors: Tensor[]) => void)([filter]);
    return {
      value: depthwiseConvolution(tf, window, input as Tensor4D, filter),
      gradFunc: (dy, saved) => {
        const [by] = saved as Tensor4D[];
        return channelwiseBack(tf, window, dy as Tensor4D, by, shape);
      },
    };
  });
  return apply(x) as Tensor4D;
}

type Pooling = Pick<Window, "kernel" | "stride" | "pads">;

/** What comes back through an average of the positions inside the input, shared among them. */
export function averagedBack(tf: Tf, pooling: Pooling, dy: Tensor4D, shape: Tensor4D["shape"]): Tensor4D {
  const window = { ...pooling, dilation: ONCE };
  const [, height, width, channels] = shape;
  // Of everything at once, in a hundredth of the time.
  const isGlobal =
    height === pooling.kernel[0] && width === pooling.kernel[1] && pooling.pads.every((pad) => pad === 0);
  if (isGlobal) return tf.mul(tf.mul(dy, 1 / (height * width)), tf.ones([1, height, width, 1]));
  const ones = (count: number): Tensor4D => tf.ones([...pooling.kernel, count, 1]) as Tensor as Tensor4D;
  const inside = depthwiseConvolution(tf, window, tf.ones([1, height, width, 1]), ones(1));
  return channelwiseBack(tf, window, tf.div(dy, inside), ones(channels), shape);
}

/** What comes back through a maximum, to every position that has it: the backend's own is wrong where windows overlap. */
export function maximumBack(
  tf: Tf,
  { kernel, stride, pads }: Pooling,
  dy: Tensor4D,
  x: Tensor4D,
  y: Tensor4D,
): Tensor4D {
  const [samples, height, width, channels] = y.shape;
  const around = spatial(pads);
  const padded = tf.pad(x, around, Number.NEGATIVE_INFINITY);
  const whole = padded.shape;
  const parts: Tensor[] = [];
  for (let tap = 0; tap < kernel[0] * kernel[1]; tap++) {
    const [top, left] = [Math.floor(tap / kernel[1]), tap % kernel[1]];
    const [tall, wide] = [(height - 1) * stride[0] + 1, (width - 1) * stride[1] + 1];
    const begin = [0, top, left, 0];
    const end = [samples, top + tall, left + wide, channels];
    const less = tf.step(tf.sub(y, tf.stridedSlice(padded, begin, end, [1, ...stride, 1])));
    const back = spreadOut(tf, tf.mul(dy, tf.sub(1, less)), stride);
    const rest: Pair[] = [
      [0, 0],
      [top, whole[1] - top - tall],
      [left, whole[2] - left - wide],
      [0, 0],
    ];
    parts.push(tf.pad(back, rest));
  }
  return tf.slice(tf.addN(parts), [0, pads[0], pads[1], 0], x.shape) as Tensor4D;
}

const ONCE: Pair = [1, 1];

function convolution(tf: Tf, { stride, dilation, pads }: Window, x: Tensor4D, filter: Tensor4D): Tensor4D {
  return tf.conv2d(x, filter, [...stride] as Pair, spatial(pads), "NHWC", [...dilation] as Pair);
}

function depthwiseConvolution(tf: Tf, { stride, dilation, pads }: Window, x: Tensor4D, filter: Tensor4D): Tensor4D {
  // Its type lacks the pads that its code takes.
  const pad = spatial(pads) as unknown as "valid";
  return tf.depthwiseConv2d(x, filter, [...stride] as Pair, pad, "NHWC", [...dilation] as Pair);
}

function channelwiseBack(tf: Tf, window: Window, dy: Tensor4D, filter: Tensor4D, shape: Tensor4D["shape"]): Tensor4D {
  const spread = spreadOut(tf, dy, window.stride);
  const around = { ...window, stride: ONCE, pads: padsAround(window, shape, spread.shape) };
  return depthwiseConvolution(tf, around, spread, tf.reverse(filter, [0, 1]));
}

/** The filter turned by half, its channels and outputs exchanged, over what comes back. */
function towardsInput(tf: Tf, window: Window, dy: Tensor4D, filter: Tensor4D, { shape }: Tensor4D): Tensor4D {
  const spread = spreadOut(tf, dy, window.stride);
  const turned = tf.transpose(tf.reverse(filter, [0, 1]), [0, 1, 3, 2]) as Tensor4D;
  return convolution(tf, { ...window, stride: ONCE, pads: padsAround(window, shape, spread.shape) }, spread, turned);
}

/** What comes back as a filter over the input, samples and channels exchanged: stride and dilation change places. */
function towardsFilter(
  tf: Tf,
  { kernel, stride, dilation, pads }: Window,
  dy: Tensor4D,
  x: Tensor4D,
  filter: Tensor4D,
) {
  const [input, by] = [tf.transpose(x, [3, 1, 2, 0]) as Tensor4D, tf.transpose(dy, [1, 2, 0, 3]) as Tensor4D];
  const swapped = { kernel, stride: dilation, dilation: stride, pads };
  const all = tf.transpose(convolution(tf, swapped, input, by), [1, 2, 0, 3]);
  // A stride that leaves the last rows of the input unread sees them here.
  return tf.slice(all, [0, 0, 0, 0], filter.shape) as Tensor4D;
}

/** Zeros between the positions, so that they are where the strides left them. */
function spreadOut(tf: Tf, dy: Tensor4D, [down, right]: readonly [number, number]): Tensor4D {
  if (down === 1 && right === 1) return dy;
  const [samples, height, width, channels] = dy.shape;
  const none: Pair = [0, 0];
  const pads = [none, none, [0, down - 1], none, [0, right - 1], none] satisfies Pair[];
  const apart = tf.pad(tf.reshape(dy, [samples, height, 1, width, 1, channels]), pads);
  const all = tf.reshape(apart, [samples, height * down, width * right, channels]);
  return tf.slice(all, [0, 0, 0, 0], [samples, (height - 1) * down + 1, (width - 1) * right + 1, channels]) as Tensor4D;
}

/** So that what is convolved from `spread` has the shape of the input. */
function padsAround(
  { kernel, dilation, pads }: Window,
  [, height, width]: readonly number[],
  [, spreadHeight, spreadWidth]: readonly number[],
): Window["pads"] {
  const [top, left] = [(kernel[0] - 1) * dilation[0] - pads[0], (kernel[1] - 1) * dilation[1] - pads[1]];
  return [top, left, height - spreadHeight + pads[0], width - spreadWidth + pads[1]];
}
