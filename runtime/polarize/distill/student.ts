import { entry } from "../../base/entry.ts";
import { computed, image } from "../../kernels/float/operations.ts";
import { recurred } from "../../kernels/float/recurrence.ts";
import type { Tensor, Tensor2D, Tensor4D, Tf } from "../../kernels/float/tfjs.ts";
import { channelwise, convolved } from "../../kernels/float/windows.ts";
import { weightShape } from "../../kernels/float.ts";
import { type Clamp, isLayer, type Layer, NO_CLAMP } from "../../model/graph.ts";
import type { Affine, PolarizedModel } from "../../model/stages.ts";
import { dequantizeMatrix } from "../../quantize/format.ts";
import { moves } from "../../quantize/ranges.ts";
import { type Part, parametersOf } from "./parameters.ts";
import { rounded } from "./rounding.ts";

/** A polarized model that can be differentiated: its codes and roundings as they are served, in floats. */
export interface Student {
  /** All values, by name, of `inputs` [samples, ...input shape], with parameters in the order of parametersOf. */
  run(inputs: Tensor, parameters: readonly Tensor[]): ReadonlyMap<string, Tensor>;
  /** Frees the backend's tensors. */
  close(): void;
}

/** How a value is stored. */
export type Storing = (tf: Tf, value: Tensor, range: Affine, clamp: Clamp) => Tensor;

/** @param stored a test's, which can't take differences of what is rounded */
export function studentOf(tf: Tf, model: PolarizedModel, stored: Storing = rounded): Student {
  const { graph, ranges } = model;
  const places = new Map(parametersOf(model).map(({ layer, part }, i) => [`${layer} ${part}`, i]));
  const mains = new Map<string, Tensor>();
  for (const { name } of graph.nodes.filter(isLayer)) {
    const { matrix } = entry(model.layers, name);
    mains.set(name, tf.tensor(dequantizeMatrix(matrix), [matrix.rows, matrix.columns]));
  }
  return {
    run(inputs, parameters) {
      const { input, nodes } = graph;
      const values = new Map([[input.name, stored(tf, inputs, entry(ranges, input.name), NO_CLAMP)]]);
      for (const node of nodes) {
        const given = node.inputs.map((value) => entry(values, value));
        const part = (wanted: Part): Tensor | undefined => parameters[places.get(`${node.name} ${wanted}`) ?? -1];
        const raw = isLayer(node)
          ? answered(tf, node, given, entry(mains, node.name), part)
          : computed(tf, node, given);
        const clamp = "clamp" in node ? node.clamp : NO_CLAMP;
        const value = moves.has(node.op) ? raw : stored(tf, raw, entry(ranges, node.name), clamp);
        values.set(node.name, tf.reshape(value, [inputs.shape[0], ...node.shape]));
      }
      return values;
    },
    close() {
      tf.dispose([...mains.values()]);
    },
  };
}

/** What a layer answers before its clamp: its product with gain * Wq + A B, which costs less than the two one by one. */
function answered(
  tf: Tf,
  node: Layer,
  [input, residual]: readonly Tensor[],
  main: Tensor,
  part: (wanted: Part) => Tensor | undefined,
): Tensor {
  const [gain, bias, a, b] = [part("gain"), part("bias"), part("a"), part("b")];
  if (!gain || !bias) throw new Error(`${node.name} has no parameters`);
  if (node.op === "depthwise") {
    const products = channelwise(tf, node, image(tf, input), filterOf(tf, node, main));
    return tf.add(tf.mul(products, gain), bias);
  }
  const scaled = tf.mul(main, gain);
  const weights = a && b ? tf.add(scaled, tf.matMul(a as Tensor2D, b as Tensor2D)) : scaled;
  if (node.op === "recurrence") return recurred(tf, node, input, weights, bias);
  const products =
    node.op === "dense"
      ? tf.matMul(tf.reshape(input, [-1, node.rows]), weights)
      : convolved(tf, node, image(tf, input), filterOf(tf, node, weights));
  const value = tf.add(products, bias);
  return residual ? tf.add(value, tf.reshape(residual, value.shape)) : value;
}

function filterOf(tf: Tf, node: Layer, weights: Tensor): Tensor4D {
  return tf.reshape(weights, weightShape(node)) as Tensor as Tensor4D;
}
