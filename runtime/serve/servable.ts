import type { Health } from "../health/health.ts";
import type { Meter } from "../health/meter.ts";
import type { Shape } from "../tensor/tensor.ts";

/** What the server needs of whoever owns the model; the agent is one. */
export interface Servable {
  /** Of every inference, whoever asked. */
  readonly meter: Meter;
  /** What answers now, the same object as long as it does; undefined while nothing does. */
  model(): ServedModel | undefined;
  /** How the device was when it last looked; undefined before. */
  health(): Health | undefined;
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
