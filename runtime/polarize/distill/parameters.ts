import { entry } from "../../base/entry.ts";
import { isLayer } from "../../model/graph.ts";
import type { Correction, PolarizedModel } from "../../model/stages.ts";

/** One list of numbers that is trained: a part of a layer's digital correction. */
export interface Parameter {
  readonly layer: string;
  readonly part: Part;
  readonly shape: number[];
  readonly values: Float32Array;
}

export type Part = "gain" | "bias" | "a" | "b";

/** Copies of everything in a model that can be trained, layer by layer. */
export function parametersOf({ graph, layers }: PolarizedModel): Parameter[] {
  return graph.nodes.filter(isLayer).flatMap(({ name: layer }) => {
    const { gain, bias, surrogate } = entry(layers, layer).digital;
    const columns = bias.length;
    const parameter = (part: Part, shape: number[], values: Float32Array): Parameter => {
      return { layer, part, shape, values: values.slice() };
    };
    const own = [parameter("gain", [columns], gain), parameter("bias", [columns], bias)];
    if (!surrogate) return own;
    const { a, b, rank } = surrogate;
    return [...own, parameter("a", [a.length / rank, rank], a), parameter("b", [rank, columns], b)];
  });
}

/** The model with these values, in the order of parametersOf, instead of its own. */
export function withParameters(
  model: PolarizedModel,
  parameters: readonly Parameter[],
  values: readonly ArrayLike<number>[],
): PolarizedModel {
  const named = new Map(parameters.map(({ layer, part }, i) => [`${layer} ${part}`, Float32Array.from(values[i])]));
  const layers = [...model.layers].map(([name, layer]) => {
    const { surrogate } = layer.digital;
    const of = (part: Part): Float32Array => entry(named, `${name} ${part}`);
    const digital: Correction = {
      gain: of("gain"),
      bias: of("bias"),
      surrogate: surrogate && { rank: surrogate.rank, a: of("a"), b: of("b") },
    };
    // What each layer leaves of its own error is another number now, and not what was trained for.
    return [name, { ...layer, digital, error: undefined }] as const;
  });
  return { ...model, layers: new Map(layers) };
}
