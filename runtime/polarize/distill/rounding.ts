import type { Tensor, Tf } from "../../kernels/float/tfjs.ts";
import type { Clamp } from "../../model/graph.ts";
import type { Affine } from "../../model/stages.ts";

/**
 * A value as eight bits hold it. Its gradient passes straight through the rounding (Y. Bengio et al., arXiv 1308.3432)
 * and stops where the clamp or the end of the range does. The last axis is the channels'.
 */
export function rounded(tf: Tf, value: Tensor, { scale, zeroPoint, channels }: Affine, { min, max }: Clamp): Tensor {
  const unit: Tensor | number = channels ? tf.tensor1d(channels.map((channel) => scale * channel)) : scale;
  // Where channels have scales of their own a clamp is open or at zero (quantize/ranges.ts).
  const [least, most] = [Math.max(-zeroPoint, min / scale), Math.min(255 - zeroPoint, max / scale)];
  const apply = tf.customGrad((x, save) => {
    const steps = tf.div(x as Tensor, unit);
    (save as (tensors: Tensor[]) => void)([steps]);
    return {
      value: tf.mul(tf.round(tf.clipByValue(steps, least, most)), unit),
      gradFunc: (dy, saved) => {
        const [seen] = saved;
        return tf.mul(dy as Tensor, tf.mul(tf.step(tf.sub(seen, least)), tf.step(tf.sub(most, seen))));
      },
    };
  });
  return apply(value);
}
