import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Failure } from "../../runtime/base/failure.ts";
import { gaussian, uniform } from "../../runtime/base/random.ts";
import { NO_CLAMP } from "../../runtime/model/graph.ts";
import type { PolarizedModel } from "../../runtime/model/stages.ts";
import { encodeModel } from "../../runtime/quantize/file.ts";
import { quantizeMatrix } from "../../runtime/quantize/format.ts";
import { formats } from "../../runtime/quantize/formats.ts";
import { encodeOnnx, type OnnxNode, type OnnxTensor } from "../model/onnx.ts";
import type { Contender } from "./protocol.ts";

/** One vector times one layer of 4-bit weights: y[columns] = x[rows] W. */
export interface Layer {
  readonly rows: number;
  readonly columns: number;
}

/** @throws Failure input/malformed unless it is ROWSxCOLUMNS; rows by whole blocks, as onnxruntime has it */
export function layerOf(text: string): Layer {
  const [, rows = 0, columns = 0] = (/^([1-9]\d{0,4})x([1-9]\d{0,4})$/.exec(text) ?? []).map(Number);
  if (rows > 0 && rows % BLOCK === 0) return { rows, columns };
  throw new Failure("input/malformed", `--gemv ${text}: expected ROWSxCOLUMNS, rows a multiple of ${BLOCK}: 640x128`);
}

/** Weights with one scale; of ours and of onnxruntime's operators alike. */
const BLOCK = 32;

/**
 * Ours, which quantizes the vector to 8 bits (W4A8), and the operators that onnxruntime adds to ONNX
 * (https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md), all from f32 to f32. What a call of
 * onnxruntime costs by itself is shown by a graph that does nothing.
 */
export async function gemvContenders(layer: Layer, folder: string): Promise<Contender[]> {
  const written = async (name: string, engine: string, file: string, bytes: Uint8Array): Promise<Contender> => {
    await writeFile(join(folder, file), bytes);
    return { name, engine, file: join(folder, file) };
  };
  const peer = (name: string, node: Node, tensors: readonly OnnxTensor[]): Promise<Contender> =>
    written(`onnxruntime-node ${name}`, "onnxruntime-node", `${name}.onnx`, onnxOf(layer, node, tensors));
  return [
    await written("polaredge nf4, W4A8", "polaredge", "nf4.polar", encodeModel(ownModel(layer))),
    await peer("MatMulBnb4 nf4", bnb4(layer), bnb4Tensors(layer)),
    await peer("MatMulNBits int4", nBits(layer, 0), nBitsTensors(layer)),
    await peer("MatMulNBits int4, W4A8", nBits(layer, 4), nBitsTensors(layer)),
    await peer("Identity", { op: "Identity", name: "y" }, []),
  ];
}

type Node = Pick<OnnxNode, "op" | "name" | "domain" | "attributes">;

function ownModel({ rows, columns }: Layer): PolarizedModel {
  const weights = Float32Array.from({ length: rows * columns }, gaussian(1));
  const digital = { gain: new Float32Array(columns).fill(1), bias: new Float32Array(columns), surrogate: undefined };
  const matrix = quantizeMatrix(formats.nf4, weights, columns, BLOCK);
  const shape = [1, columns];
  return {
    stage: "polarized",
    graph: {
      name: "layer",
      input: { name: "x", shape: [1, rows] },
      nodes: [{ op: "dense", name: "y", inputs: ["x"], shape, rows, columns, clamp: NO_CLAMP }],
      output: "y",
    },
    ranges: new Map([["x", { scale: 8 / 255, zeroPoint: 128 }]]),
    layers: new Map([["y", { format: "nf4", matrix, digital, accelerator: undefined }]]),
    accelerator: undefined,
  };
}

function onnxOf({ rows, columns }: Layer, node: Node, tensors: readonly OnnxTensor[]): Uint8Array {
  const inputs = ["x", ...tensors.map(({ name }) => name)];
  return encodeOnnx({
    name: node.op,
    version: "1",
    input: { name: "x", shape: [1, rows] },
    output: { name: "y", shape: [1, node.domain ? columns : rows] },
    nodes: [{ ...node, inputs, output: "y" }],
    initializers: tensors,
    metadata: {},
  });
}

/** quant_type 1 is NF4. */
function bnb4({ rows: K, columns: N }: Layer): Node {
  return {
    op: "MatMulBnb4",
    domain: "com.microsoft",
    name: "y",
    attributes: { K, N, block_size: BLOCK, quant_type: 1 },
  };
}

/** At accuracy level 4 it may quantize the vector to 8 bits; at 0 it computes in f32. */
function nBits({ rows: K, columns: N }: Layer, level: 0 | 4): Node {
  return {
    op: "MatMulNBits",
    domain: "com.microsoft",
    name: "y",
    attributes: { K, N, bits: 4, block_size: BLOCK, accuracy_level: level },
  };
}

function bnb4Tensors({ rows, columns }: Layer): OnnxTensor[] {
  const size = rows * columns;
  return [
    { name: "codes", shape: [size / 2], data: noise(size / 2) },
    { name: "absmax", shape: [size / BLOCK], data: new Float32Array(size / BLOCK).fill(0.1) },
  ];
}

function nBitsTensors({ rows, columns }: Layer): OnnxTensor[] {
  const size = rows * columns;
  return [
    { name: "codes", shape: [columns, rows / BLOCK, BLOCK / 2], data: noise(size / 2) },
    { name: "scales", shape: [size / BLOCK], data: new Float32Array(size / BLOCK).fill(0.1) },
  ];
}

function noise(length: number): Uint8Array {
  const next = uniform(2);
  return Uint8Array.from({ length }, () => 256 * next());
}
