import type { Shape } from "../tensor/tensor.ts";

/** What the server needs of whoever owns the model; the agent is one. */
export interface Servable {
  /** What answers now; undefined while nothing does. */
  model(): ServedModel | undefined;
  /** One sample in the model's input shape. @throws Failure agent/not-serving, input/shape */
  infer(input: Float32Array): Promise<Float32Array>;
}

export interface ServedModel {
  readonly name: string;
  readonly version: string;
  readonly input: Port;
  readonly output: Port;
}

/** Shapes are NHWC with a batch of 1 in front. */
export interface Port {
  readonly name: string;
  readonly shape: Shape;
}
