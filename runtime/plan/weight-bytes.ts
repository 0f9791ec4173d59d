import type { PolarizedLayer, PolarizedModel, QuantizedMatrix } from "../model/stages.ts";
import { storedBytes } from "../quantize/format.ts";
import { formats } from "../quantize/formats.ts";

/** Codes, scales, biases, gains and low-rank factors of a model, as stored. */
export function weightBytesOf(model: PolarizedModel): number {
  return [...model.layers.values()].reduce((sum, layer) => sum + layerBytes(layer), 0);
}

function layerBytes({ format, matrix, digital, accelerator }: PolarizedLayer): number {
  const corrections = [digital, ...(accelerator ? [accelerator] : [])].map(({ surrogate }) =>
    correctionBytes(matrix, surrogate?.rank ?? 0),
  );
  return corrections.reduce((sum, bytes) => sum + bytes, storedBytes(formats[format], matrix));
}

/** Gain, bias and low-rank factors. */
export function correctionBytes({ rows, columns }: Pick<QuantizedMatrix, "rows" | "columns">, rank: number): number {
  return Float32Array.BYTES_PER_ELEMENT * (2 * columns + rank * (rows + columns));
}
