import { Failure, isFailure, messageOf } from "../../base/failure.ts";
import type { FetchSmall } from "../../trust/trust.ts";
import { request } from "./download.ts";

/** What an object store answers for a file that is not there. */
const ABSENT = new Set([403, 404]);

/** Reads small files below `base`, whole and into memory. Whatever the server sends, no more than the limit is taken. */
export function smallFiles(base: string): FetchSmall {
  const root = base.endsWith("/") ? base : `${base}/`;
  return async (path, maxBytes, signal) => {
    try {
      return await read(new URL(path, root).href, maxBytes, signal);
    } catch (error) {
      if (isFailure(error, "trust/too-large") || signal.aborted) throw error;
      throw new Failure("trust/unreachable", `${path}: ${messageOf(error)}`, { path }, error);
    }
  };
}

async function read(url: string, maxBytes: number, signal: AbortSignal): Promise<Uint8Array | undefined> {
  const response = await request(url, 0, undefined, { signal });
  try {
    if (ABSENT.has(response.statusCode ?? 0)) return undefined;
    if (response.statusCode !== 200) throw new Error(`the server answers ${response.statusCode}`);
    const chunks: Uint8Array[] = [];
    let bytes = 0;
    for await (const chunk of response) {
      bytes += (chunk as Uint8Array).length;
      if (bytes > maxBytes)
        throw new Failure("trust/too-large", `${url}: expected at most ${maxBytes} bytes, found more`);
      chunks.push(chunk as Uint8Array);
    }
    return Buffer.concat(chunks);
  } finally {
    response.destroy();
  }
}
