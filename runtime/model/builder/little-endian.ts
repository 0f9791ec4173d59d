import { Failure } from "../../base/failure.ts";

type TypedArray<T> = { readonly BYTES_PER_ELEMENT: number; new (buffer: ArrayBuffer): T };

/** The numbers of a little-endian block, copied. Model files are little-endian, and so is every machine Node.js has. */
export function littleEndian<T>(bytes: Uint8Array, type: TypedArray<T>): T {
  const size = type.BYTES_PER_ELEMENT;
  if (bytes.length % size === 0) return new type(Uint8Array.from(bytes).buffer);
  throw new Failure(
    "import/malformed",
    `damaged file: ${bytes.length} bytes are no whole number of ${size}-byte values`,
  );
}
