import { Failure } from "../../base/failure.ts";
import { assemble } from "../builder/assemble.ts";
import { type Operator, rowOf } from "../builder/call.ts";
import { onlyInput } from "../builder/input.ts";
import type { FloatModel } from "../stages.ts";
import { constantOf, parseTflite, type TfliteNode } from "./file.ts";
import { operators } from "./operators.ts";

/** A TFLite file with one subgraph, one input and one output, float weights and fixed shapes. */
export function importTflite(bytes: Uint8Array, name: string): FloatModel {
  const { version, nodes, tensors, inputs, outputs } = parseTflite(bytes);
  const declared = inputs.map((id) => {
    const tensor = tensors.get(id);
    return { name: tensor?.name ?? id, type: tensor?.type ?? "unknown", shape: tensor?.shape };
  });
  const input = onlyInput(declared, outputs, "float32");
  const source = {
    name,
    input,
    inputTensor: inputs[0],
    output: outputs[0],
    nodes,
    constant: (id: string) => {
      const tensor = tensors.get(id);
      return tensor && constantOf(tensor);
    },
    layout: [0, 1, 2, 3],
  };
  return { stage: "float", source: { format: "tflite", version }, ...assemble(source, operatorOf) };
}

function operatorOf(node: TfliteNode): Operator<TfliteNode> {
  const operator = rowOf(operators, node.operator);
  if (operator) return operator;
  const supported = Object.keys(operators).join(", ");
  throw new Failure("import/unsupported-operator", `this operator isn't supported. Supported are ${supported}`);
}
