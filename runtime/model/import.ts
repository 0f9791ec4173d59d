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
