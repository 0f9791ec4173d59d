import type { Correction, PolarizedLayer, PolarizedModel } from "../model/stages.ts";
import { storedBytes } from "../quantize/format.ts";
import { formats } from "../quantize/formats.ts";

/** Codes, scales, biases, gains and low-rank factors of a model, as stored. */
export function weightBytesOf(model: PolarizedModel): number {
  return [...model.layers.values()].reduce((sum, layer) => sum + layerBytes(layer), 0);
}

function layerBytes({ format, matrix, digital, accelerator }: PolarizedLayer): number {
  const corrections = correctionBytes(digital) + (accelerator ? correctionBytes(accelerator) : 0);
  return storedBytes(formats[format], matrix) + corrections;
}

function correctionBytes({ gain, bias, surrogate }: Correction): number {
  const factors = surrogate ? surrogate.a.length + surrogate.b.length : 0;
  return Float32Array.BYTES_PER_ELEMENT * (gain.length + bias.length + factors);
}
