import * as z from "zod/mini";

/** A question on `xfer/req`: `n` blocks of `len` bytes of a file of the repository, from byte `off` on. */
export interface BlockRequest {
  /** Of the transfer; the answers come on `xfer/rsp/<id>`. */
  readonly id: number;
  readonly path: string;
  readonly off: number;
  readonly len: number;
  readonly n: number;
}

/** An answer on `xfer/rsp/<id>`: `[u32 total][u32 off][bytes]`, little-endian. */
export interface Block {
  /** Size of the file; 0 where there is none. */
  readonly total: number;
  readonly off: number;
  readonly data: Uint8Array;
}

export const MAX_BLOCK_BYTES: number = 64 * 1024;
/** Blocks on their way to one device at once. */
export const WINDOW_BLOCKS = 4;
const HEADER_BYTES = 8;
const U32 = 2 ** 32 - 1;

/** The three folders of a repository, and nothing else of the operator's disk. */
const PATH = /^(blobs\/[0-9a-f]{64}|(metadata|targets\/releases)\/[A-Za-z0-9][A-Za-z0-9._+-]{0,255})$/;

const request: z.ZodMiniType<BlockRequest> = z.strictObject({
  id: z.int().check(z.minimum(0), z.maximum(U32)),
  path: z.string().check(z.regex(PATH)),
  off: z.int().check(z.minimum(0), z.maximum(U32)),
  len: z.int().check(z.minimum(1), z.maximum(MAX_BLOCK_BYTES)),
  n: z.int().check(z.minimum(1), z.maximum(WINDOW_BLOCKS)),
});

/** Undefined for what is no request. */
export function parseRequest(payload: Uint8Array): BlockRequest | undefined {
  try {
    return request.safeParse(JSON.parse(new TextDecoder().decode(payload))).data;
  } catch {
    return undefined;
  }
}

export function encodeBlock({ total, off, data }: Block): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES + data.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, total, true);
  view.setUint32(4, off, true);
  bytes.set(data, HEADER_BYTES);
  return bytes;
}

/** Undefined for what is too short to be one. `data` is a view of the payload. */
export function decodeBlock(payload: Uint8Array): Block | undefined {
  if (payload.length < HEADER_BYTES) return undefined;
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  return { total: view.getUint32(0, true), off: view.getUint32(4, true), data: payload.subarray(HEADER_BYTES) };
}
