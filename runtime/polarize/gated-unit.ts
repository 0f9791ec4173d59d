import { entry } from "../base/entry.ts";
import { Failure } from "../base/failure.ts";
import type { LoadKernels } from "../kernels/kernels.ts";
import type { ConvStep, Slot } from "../kernels/step.ts";
import { type Conv2d, type Dense, type Graph, isMatmul, NO_CLAMP } from "../model/graph.ts";
import type { Correction, PolarizedModel, QuantizedMatrix } from "../model/stages.ts";
import type { MatmulUnit } from "../plan/unit.ts";
import { dequantizeMatrix } from "../quantize/format.ts";
import { type Gate, type GatedLayer, highPart } from "./gate.ts";

/** What gates saved in a layer. */
export interface Savings {
  /** Outputs so far, and those that were left at their high part. */
  outputs: number;
  skipped: number;
  /** Vectors so far, and those of which no output needed the low bits. */
  vectors: number;
  skippedVectors: number;
}

/** Nodes that Precision Gating is for: what they answer below the clamp's lower end is not seen. */
function gateable({ nodes }: Graph): (Conv2d | Dense)[] {
  return nodes
    .filter(isMatmul)
    .filter(({ clamp, inputs }) => clamp.min > Number.NEGATIVE_INFINITY && inputs.length === 1);
}

/** The gateable layers as they are computed digitally. */
export function gatedLayers(model: PolarizedModel): GatedLayer[] {
  return gateable(model.graph).map((node) => {
    const { matrix, digital } = entry(model.layers, node.name);
    const input = entry(model.ranges, node.inputs[0]);
    const weights = dequantizeMatrix(matrix);
    return { node, input, weights, correction: aroundProduct(digital, input, weights) };
  });
}

/** Those of them that a unit holds and the model has corrections for there, as they are on the unit. */
export async function gatedLayersOn(unit: MatmulUnit, model: PolarizedModel): Promise<GatedLayer[]> {
  const found: GatedLayer[] = [];
  for (const node of gateable(model.graph)) {
    const { accelerator } = entry(model.layers, node.name);
    if (!accelerator || !unit.layers.has(node.name)) continue;
    const input = entry(model.ranges, node.inputs[0]);
    found.push({ node, input, weights: await unit.nominal(node.name), correction: accelerator });
  }
  return found;
}

/** The model with these layers' products to be done by a unit, and corrected there as they are digitally. */
export function forUnit(model: PolarizedModel, layers: readonly GatedLayer[]): PolarizedModel {
  const changed = layers.map(
    ({ node, correction }) => [node.name, { ...entry(model.layers, node.name), accelerator: correction }] as const,
  );
  return { ...model, layers: new Map([...model.layers, ...changed]) };
}

/** The main path's zero point goes into the bias. */
function aroundProduct(digital: Correction, { scale, zeroPoint }: GatedLayer["input"], w: Float32Array): Correction {
  const bias = Float64Array.from(digital.bias);
  for (let i = 0; i < w.length; i++) {
    const j = i % bias.length;
    bias[j] -= digital.gain[j] * scale * zeroPoint * w[i];
  }
  return { ...digital, bias: Float32Array.from(bias) };
}

interface Product {
  readonly matrix: QuantizedMatrix;
  readonly gate: Gate;
  /** Products of `count` vectors of codes. */
  readonly run: (codes: Uint8Array) => Float32Array;
}

/** Products as a bit-serial accelerator with gates would answer them, computed by the digital kernels; counts what is saved. */
export class GatedUnit implements MatmulUnit {
  readonly name = "gated";
  readonly uid = "gated";
  readonly layers: ReadonlySet<string>;
  readonly savings: ReadonlyMap<string, Savings>;
  readonly #products: ReadonlyMap<string, Product>;

  constructor(model: PolarizedModel, gates: ReadonlyMap<string, Gate>, kernels: LoadKernels) {
    this.layers = new Set(gates.keys());
    this.savings = new Map(
      [...gates.keys()].map((name) => [name, { outputs: 0, skipped: 0, vectors: 0, skippedVectors: 0 }]),
    );
    const nodes = new Map(model.graph.nodes.filter(isMatmul).map((node) => [node.name, node]));
    this.#products = new Map(
      [...gates].map(([name, gate]) => {
        const { matrix } = entry(model.layers, name);
        return [name, { matrix, gate, run: productOf(entry(nodes, name), matrix, kernels) }];
      }),
    );
  }

  async multiply(layer: string, inputs: Uint8Array, count: number): Promise<Float32Array> {
    const product = this.#products.get(layer);
    if (!product) throw new Failure("input/missing", `layer ${layer} has no gate`);
    const { gate, run, matrix } = product;
    const whole = run(inputs);
    const products = run(highPart(inputs, gate.highBits));
    const needed = gate.needed(inputs, products, count);
    for (let i = 0; i < products.length; i++)
      products[i] = needed[i] ? whole[i] : products[i] + gate.usual[i % matrix.columns];
    countSavings(entry(this.savings, layer), needed, matrix.columns);
    return products;
  }

  async nominal(layer: string): Promise<Float32Array> {
    return dequantizeMatrix(entry(this.#products, layer).matrix);
  }
}

function countSavings(savings: Savings, needed: Uint8Array, columns: number): void {
  for (let at = 0; at < needed.length; at += columns) {
    let skipped = 0;
    for (let j = 0; j < columns; j++) skipped += 1 - needed[at + j];
    savings.outputs += columns;
    savings.skipped += skipped;
    savings.vectors += 1;
    savings.skippedVectors += skipped === columns ? 1 : 0;
  }
}

/** The matrix alone, on all positions of one inference. */
function productOf(
  node: Conv2d | Dense,
  matrix: QuantizedMatrix,
  load: LoadKernels,
): (codes: Uint8Array) => Float32Array {
  const { rows, columns } = matrix;
  const positions = node.shape.reduce((size, length) => size * length, 1) / columns;
  const input: Slot = { offset: 0, shape: [positions, 1, rows], type: "u8", scale: 1, zeroPoint: 0 };
  const offset = Math.ceil((positions * rows) / 16) * 16;
  const output: Slot = { offset, shape: [positions, 1, columns], type: "f32", scale: 1, zeroPoint: 0 };
  const step: ConvStep = {
    op: "conv2d",
    name: node.name,
    kernel: [1, 1],
    stride: [1, 1],
    dilation: [1, 1],
    pads: [0, 0, 0, 0],
    input,
    output,
    weights: matrix,
    bias: new Float32Array(columns),
    surrogate: undefined,
    residual: undefined,
    clamp: NO_CLAMP,
  };
  const kernels = load(offset + 4 * positions * columns);
  const run = kernels.bind(step);
  return (codes) => {
    kernels.u8(input).set(codes);
    run();
    return kernels.f32(output).slice();
  };
}
