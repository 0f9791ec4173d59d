import { type OnnxAttribute, type OnnxNodeSpec, type OnnxSpec, type OnnxTensor, weights } from "./onnx.ts";

/** A small model of one operator or of a pattern that exporters write. Its answers are in test/vectors/import. */
export interface OnnxCase extends OnnxSpec {
  /** What the graph has to be made of, in order. */
  readonly ops: string;
  /** Images are NHWC in the file too. */
  readonly channelsLast?: boolean;
}

export type OnnxCases = Readonly<Record<string, OnnxCase>>;
type Attributes = Readonly<Record<string, OnnxAttribute>>;

export const image = { x: [1, 3, 6, 5] } as const;
export const vector = { x: [1, 12] } as const;

/** The model's only or last node. */
export const last = (op: string, inputs: string, attributes: Attributes = {}): OnnxNodeSpec => ({
  op,
  name: "it",
  inputs: inputs === "" ? [] : inputs.split(" ").map((name) => (name === "-" ? "" : name)),
  attributes,
});

/** A node that yields `output`. */
export const step = (output: string, op: string, inputs: string, attributes: Attributes = {}): OnnxNodeSpec => ({
  ...last(op, inputs, attributes),
  name: `make ${output}`,
  outputs: [output],
});

export const real = (value: number): { real: number } => ({ real: value });
export const scalar = (value: number): OnnxTensor => ({ shape: [], values: Float32Array.of(value) });
export const fill = (shape: readonly number[], value: number): OnnxTensor => ({
  shape,
  values: new Float32Array(weights(shape).values.length).fill(value),
});

/** Weights above zero, as variances are. */
export const positive = (length: number, seed: number): OnnxTensor => ({
  shape: [length],
  values: Float32Array.from(weights([length], seed).values, (value) => 0.5 + Math.abs(value)),
});
