/**
 * Consistent Overhead Byte Stuffing (Cheshire and Baker, 1999): a block has no zero byte, so a zero always and only
 * separates blocks, and a receiver that lost its place is back in step at the next one.
 */

/** Longest that a block of `length` bytes gets. */
export function cobsBound(length: number): number {
  return length + Math.floor(length / 254) + 1;
}

/** Writes the block to `out` from `at` on and returns where it ends. `out` has room for cobsBound(data.length). */
export function cobsEncode(data: Uint8Array, out: Uint8Array, at: number): number {
  let codeAt = at;
  let to = at + 1;
  for (let i = 0; i < data.length; i++) {
    const byte = data[i];
    if (byte !== 0) out[to++] = byte;
    if (byte === 0 || to - codeAt === 0xff) {
      out[codeAt] = to - codeAt;
      codeAt = to++;
    }
  }
  out[codeAt] = to - codeAt;
  return to;
}

/** `undefined` if `block` was not made by cobsEncode. */
export function cobsDecode(block: Uint8Array): Uint8Array | undefined {
  const out = new Uint8Array(block.length);
  let to = 0;
  for (let at = 0; at < block.length; ) {
    const run = block[at];
    if (run === 0 || at + run > block.length) return undefined;
    for (let i = at + 1; i < at + run; i++) {
      if (block[i] === 0) return undefined;
      out[to++] = block[i];
    }
    at += run;
    if (run < 0xff && at < block.length) out[to++] = 0;
  }
  return out.subarray(0, to);
}
