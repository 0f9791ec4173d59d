import type { PolarizedLayer, PolarizedModel, QuantizedMatrix } from "../model/stages.ts";
import { storedBytes } from "../quantize/format.ts";
import { formats } from "../quantize/formats.ts";

/** Codes, scales, biases, gains and low-rank factors of a model, as stored. */
export function weightBytesOf(model: PolarizedModel): number {
  return [...model.layers.values()].reduce((sum, layer) => sum + layerBytes(layer), 0);
}

function layerBytes({ accelerator, ...layer }: PolarizedLayer): number {
  const own = accelerator ? correctionBytes(layer.matrix, accelerator.surrogate?.rank ?? 0) : 0;
  return digitalBytes(layer) + own;
}

/** Of what a layer's digital path reads. */
export function digitalBytes({ format, matrix, digital }: Omit<PolarizedLayer, "accelerator">): number {
  return storedBytes(formats[format], matrix) + correctionBytes(matrix, digital.surrogate?.rank ?? 0);
}

/** Gain, bias and low-rank factors. */
export function correctionBytes({ rows, columns }: Pick<QuantizedMatrix, "rows" | "columns">, rank: number): number {
  return Float32Array.BYTES_PER_ELEMENT * (2 * columns + rank * (rows + columns));
}
