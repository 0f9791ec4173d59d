import type { FloatModel } from "./stages.ts";

/** The float model, running: what every correction is fitted to and every answer is compared with. */
export interface FloatTeacher {
  readonly model: FloatModel;
  /**
   * `inputs`: count samples one after the other, each in the shape of the model's input without its batch axis.
   * Returns the output, and each value named in `taps`, in the same form. Runs in batches, so memory stays bounded.
   */
  run(inputs: Float32Array, count: number, taps?: readonly string[]): Promise<FloatAnswer>;
  /** One value from others, all in that form, that are `known` already: only what lies between them is computed. */
  runFrom(known: ReadonlyMap<string, Float32Array>, count: number, wanted: string): Promise<Float32Array>;
  /** Frees the backend's tensors. */
  close(): void;
}

export interface FloatAnswer {
  readonly output: Float32Array;
  readonly taps: ReadonlyMap<string, Float32Array>;
}
