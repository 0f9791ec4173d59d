import { Failure, isFailure } from "../base/failure.ts";
import { fuseResiduals } from "./fuse.ts";
import { importOnnx } from "./onnx/import.ts";
import type { FloatModel } from "./stages.ts";
import { importTflite } from "./tflite/import.ts";

interface Signature {
  readonly what: string;
  readonly at: number;
  readonly bytes: string;
}

/** How files begin that people try to import instead. */
const others: readonly Signature[] = [
  { what: "an HDF5 file (Keras .h5)", at: 1, bytes: "HDF" },
  { what: "a ZIP archive (PyTorch .pt, Keras .keras)", at: 0, bytes: "PK" },
  { what: "JSON", at: 0, bytes: "{" },
  { what: "a polaredge model, which is quantized already", at: 0, bytes: "POLR" },
];

/**
 * A float model from the bytes of an ONNX or TFLite file, recognized by its content.
 * Fails with import/... and a message that names what was found: node, operator, type, shape.
 */
export function importModel(bytes: Uint8Array, name: string): FloatModel {
  const read = readerOf(bytes);
  if (!read) {
    throw new Failure("import/unknown-format", `${name} is ${described(bytes)}; supported are ONNX and TFLite files`);
  }
  try {
    const model = read(bytes, name);
    return { ...model, graph: fuseResiduals(model.graph) };
  } catch (error) {
    if (!isFailure(error)) throw error;
    throw new Failure(error.code, `${name}: ${error.message}`, error.detail, error);
  }
}

function readerOf(bytes: Uint8Array): ((bytes: Uint8Array, name: string) => FloatModel) | undefined {
  if (startsWith(bytes, 4, "TFL")) return importTflite;
  // An ONNX file is a protocol buffers message; writers put its first field, the IR version (tag 8), first.
  return bytes[0] === 0x08 ? importOnnx : undefined;
}

function described(bytes: Uint8Array): string {
  if (bytes.length === 0) return "empty";
  const known = others.find((signature) => startsWith(bytes, signature.at, signature.bytes));
  return known?.what ?? `in an unknown format (it starts with ${Buffer.from(bytes.subarray(0, 8)).toString("hex")})`;
}

function startsWith(bytes: Uint8Array, at: number, text: string): boolean {
  return [...text].every((letter, i) => bytes[at + i] === letter.charCodeAt(0));
}
