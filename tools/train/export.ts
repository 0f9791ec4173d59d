import { entry } from "../../runtime/base/entry.ts";
import { BANDS, ORDERS } from "../bearing/features.ts";
import { conditions } from "../bearing/machine.ts";
import { encodeOnnx, type OnnxNode, type OnnxTensor } from "../model/onnx.ts";
import { BATCH_NORM_EPSILON, type Layer, type Network } from "./network.ts";

/** The trained network as an ONNX file, input [1, 1, BANDS, ORDERS], output probabilities [1, classes]. */
export async function exportOnnx(net: Network, version: string): Promise<Uint8Array> {
  const values = new Map<string, FloatTensor>();
  for (const [name, variable] of net.variables) {
    values.set(name, { name, shape: variable.shape, data: (await variable.data()) as Float32Array });
  }
  return encodeOnnx({
    name: "bearing",
    version,
    input: { name: "map", shape: [1, 1, BANDS, ORDERS] },
    output: { name: "probabilities", shape: [1, conditions.length] },
    nodes: [...chain(net.layers), ...ending(net.layers[net.layers.length - 1].name)],
    initializers: [...net.layers.flatMap((layer) => tensorsOf(layer, values)), ...tensorsOfDense(values)],
    metadata: { classes: conditions.join(",") },
  });
}

type FloatTensor = OnnxTensor & { readonly data: Float32Array };

function chain(layers: readonly Layer[]): OnnxNode[] {
  return layers.flatMap((layer, i) => nodesOf(layer, i === 0 ? "map" : layers[i - 1].name));
}

/** Convolution, normalization, shortcut if any, relu. The last of them yields the layer's name. */
function nodesOf(layer: Layer, input: string): OnnxNode[] {
  const { name, kernel, stride, shortcut } = layer;
  const pad = (kernel - 1) / 2;
  const attributes = {
    kernel_shape: [kernel, kernel],
    strides: [stride, stride],
    pads: [pad, pad, pad, pad],
    dilations: [1, 1],
    group: layer.kind === "depthwise" ? layer.inputs : 1,
  };
  const normal = ["gamma", "beta", "mean", "variance"].map((part) => `${name}.${part}`);
  const steps: Omit<OnnxNode, "output">[] = [
    { op: "Conv", name: `${name}.conv`, inputs: [input, `${name}.weight`], attributes },
    {
      op: "BatchNormalization",
      name: `${name}.normal`,
      inputs: [`${name}.conv`, ...normal],
      attributes: { epsilon: { float: BATCH_NORM_EPSILON } },
    },
    ...(shortcut ? [{ op: "Add", name: `${name}.sum`, inputs: [`${name}.normal`, shortcut] }] : []),
  ];
  const relu = { op: "Relu", name: `${name}.relu`, inputs: [steps[steps.length - 1].name] };
  return [...steps, relu].map((node) => ({ ...node, output: node === relu ? name : node.name }));
}

function ending(input: string): OnnxNode[] {
  return [
    { op: "GlobalAveragePool", name: "average", inputs: [input], output: "average" },
    { op: "Flatten", name: "flat", inputs: ["average"], output: "flat", attributes: { axis: 1 } },
    {
      op: "Gemm",
      name: "logits",
      inputs: ["flat", "classes.weight", "classes.bias"],
      output: "logits",
      attributes: { transB: 1 },
    },
    { op: "Softmax", name: "softmax", inputs: ["logits"], output: "probabilities", attributes: { axis: 1 } },
  ];
}

/** [taps, inputs, outputs] becomes [outputs, inputs, kernel, kernel]. */
function tensorsOf(layer: Layer, values: ReadonlyMap<string, FloatTensor>): OnnxTensor[] {
  const weight = entry(values, `${layer.name}.weight`);
  const [taps, inputs, outputs] = weight.shape;
  const data = new Float32Array(weight.data.length);
  for (let tap = 0; tap < taps; tap++) {
    for (let i = 0; i < inputs; i++) {
      for (let o = 0; o < outputs; o++)
        data[(o * inputs + i) * taps + tap] = weight.data[(tap * inputs + i) * outputs + o];
    }
  }
  const shape = [outputs, inputs, layer.kernel, layer.kernel];
  const rest = ["gamma", "beta", "mean", "variance"].map((part) => entry(values, `${layer.name}.${part}`));
  return [{ name: weight.name, shape, data }, ...rest];
}

/** [1, inputs, outputs] becomes [outputs, inputs]. */
function tensorsOfDense(values: ReadonlyMap<string, FloatTensor>): OnnxTensor[] {
  const weight = entry(values, "classes.weight");
  const [inputs, outputs] = weight.shape.slice(-2);
  const data = weight.data.map((_, at) => weight.data[(at % inputs) * outputs + Math.floor(at / inputs)]);
  return [{ name: weight.name, shape: [outputs, inputs], data }, entry(values, "classes.bias")];
}
