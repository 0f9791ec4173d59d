import type { ActivationName } from "../model/graph.ts";
import type { Affine } from "../model/stages.ts";

type Curve = (x: number, ...parameters: number[]) => number;

const clamp: Curve = (x, min, max) => Math.min(max, Math.max(min, x));

/** The activations of one variable that are not fused into the layer before them. */
const curves: Readonly<Record<ActivationName, Curve>> = {
  clamp,
  sigmoid: (x) => 1 / (1 + Math.exp(-x)),
  tanh: Math.tanh,
  "leaky-relu": (x, alpha) => (x < 0 ? alpha * x : x),
  "hard-sigmoid": (x, alpha, beta) => clamp(alpha * x + beta, 0, 1),
  "hard-swish": (x) => (x * clamp(x + 3, 0, 6)) / 6,
};

/** For each of the 256 input codes the code of its image. */
export function lookupTable(
  name: ActivationName,
  parameters: readonly number[],
  input: Affine,
  output: Affine,
): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, code) => {
    const y = curves[name](input.scale * (code - input.zeroPoint), ...parameters);
    return Math.max(0, Math.min(255, Math.round(y / output.scale) + output.zeroPoint));
  });
}
