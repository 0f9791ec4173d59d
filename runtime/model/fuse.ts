import { sameShape } from "../tensor/tensor.ts";
import { type Conv2d, type Dense, type Elementwise, type Graph, isMatmul, type Node, shapeOf } from "./graph.ts";

/**
 * Lets a layer add what a residual connection brings: conv2d or dense, then `add`, become one node with a second
 * input and the sum's clamp. The sum is then rounded to 8 bits once instead of twice, and memory is passed over once
 * less. Where both branches end in such a layer, the one with more rows takes the sum: its surrogate has more to go by
 * when it makes good what the other branch got wrong.
 */
export function fuseResiduals(graph: Graph): Graph {
  let fused = graph;
  for (const { name } of graph.nodes) {
    const sum = fused.nodes.find((node) => node.name === name);
    const layer = sum?.op === "add" ? layerBefore(sum, fused) : undefined;
    if (sum?.op === "add" && layer) fused = withSum(fused, layer, sum);
  }
  return fused;
}

/** A layer that nothing but the sum reads, and that changes nothing between its product and the sum. */
function layerBefore(sum: Elementwise, { nodes, output }: Graph): Conv2d | Dense | undefined {
  if (sum.name === output) return undefined;
  return nodes
    .filter(isMatmul)
    .filter(
      ({ name, inputs, shape, clamp }) =>
        sum.inputs.filter((input) => input === name).length === 1 &&
        nodes.filter((node) => node.inputs.includes(name)).length === 1 &&
        inputs.length === 1 &&
        clamp.min === Number.NEGATIVE_INFINITY &&
        clamp.max === Number.POSITIVE_INFINITY &&
        sameShape(shape, sum.shape),
    )
    .reduce<Conv2d | Dense | undefined>((best, layer) => (best && best.rows >= layer.rows ? best : layer), undefined);
}

/** The layer in the sum's place, under its own name. */
function withSum(graph: Graph, layer: Conv2d | Dense, sum: Elementwise): Graph {
  const [residual] = sum.inputs.filter((input) => input !== layer.name);
  if (!sameShape(shapeOf(graph, residual), sum.shape)) return graph;
  const fused: Node = { ...layer, inputs: [...layer.inputs, residual], clamp: sum.clamp };
  const nodes = graph.nodes.flatMap((node): Node[] => {
    if (node.name === layer.name) return [];
    if (node.name === sum.name) return [fused];
    return [{ ...node, inputs: node.inputs.map((input) => (input === sum.name ? layer.name : input)) }];
  });
  return { ...graph, nodes };
}
