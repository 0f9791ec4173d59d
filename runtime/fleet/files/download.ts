import * as http from "node:http";
import * as https from "node:https";
import type { Clock } from "../../base/clock.ts";
import { Failure, isFailure, messageOf } from "../../base/failure.ts";
import type { Part } from "../../store/blobs.ts";
import { Pacer } from "./pacer.ts";

export interface DownloadOptions {
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly onProgress?: (done: number, of: number) => void;
  /** Attempts in a row that bring nothing before it is given up. */
  readonly tries?: number;
  readonly firstPauseMs?: number;
  /** Without a byte for so long, a connection is cut. */
  readonly stallMs?: number;
  /** Thousands of bytes a second, at most. */
  readonly maxKBps?: number | undefined;
}

const TRIES = 6;
const FIRST_PAUSE_MS = 500;
const LAST_PAUSE_MS = 30_000;
const STALL_MS = 20_000;
const MAX_REDIRECTS = 5;

/** Answers of a server that may be different next time (RFC 9110). */
const TRANSIENT = new Set([408, 425, 429, 500, 502, 503, 504]);

/**
 * Fetches a file into `part`, from where an earlier attempt ended, until its digest is right. The announced size and
 * digest decide; what the server says of length and type does not.
 * @throws Failure `download/failed`, `download/too-large`, `download/digest-mismatch`, or the signal's reason
 */
export async function download(url: string, part: Part, options: DownloadOptions): Promise<void> {
  const { clock, signal, tries = TRIES, firstPauseMs = FIRST_PAUSE_MS } = options;
  const memory: Memory = { etag: undefined, mixed: part.length > 0 };
  for (let failures = 0; ; ) {
    signal.throwIfAborted();
    const before = part.length;
    const error = await attempt(url, part, memory, options);
    if (!error) return;
    signal.throwIfAborted();
    if (isFailure(error) && error.code !== "download/failed") throw error;
    failures = part.length > before ? 1 : failures + 1;
    if (failures >= tries || (isFailure(error) && error.detail.final === true)) throw failed(url, part, error);
    await clock.sleep(Math.min(LAST_PAUSE_MS, firstPauseMs * 2 ** (failures - 1)), signal);
  }
}

interface Memory {
  etag: string | undefined;
  /** The pieces come from more than one answer, perhaps from different files. */
  mixed: boolean;
}

/** One request. Expected troubles come back as a value. */
async function attempt(url: string, part: Part, memory: Memory, options: DownloadOptions): Promise<unknown> {
  try {
    if (part.length < part.ref.bytes) await receive(url, part, memory, options);
    if (part.length < part.ref.bytes) {
      return new Failure("download/failed", `it ended after ${part.length} of ${part.ref.bytes} bytes`);
    }
    await part.finish();
    return undefined;
  } catch (error) {
    if (!isFailure(error, "download/digest-mismatch") || !memory.mixed) return error;
    memory.mixed = false;
    return new Failure("download/failed", "the pieces do not belong together", {}, error);
  }
}

async function receive(url: string, part: Part, memory: Memory, options: DownloadOptions): Promise<void> {
  const response = await request(url, part.length, memory.etag, options);
  const resumed = response.statusCode === 206 && startsAt(response) === part.length;
  if (response.statusCode !== 200 && !resumed) {
    response.destroy();
    if (response.statusCode === 206 || response.statusCode === 416) return part.restart();
    throw refusal(response);
  }
  if (resumed) memory.mixed ||= memory.etag === undefined;
  else if (part.length > 0) await part.restart();
  if (!resumed) memory.mixed = false;
  memory.etag = strongTag(response);
  await pour(response, part, options);
}

async function pour(
  response: http.IncomingMessage,
  part: Part,
  { onProgress, signal, clock, maxKBps }: DownloadOptions,
): Promise<void> {
  const pacer = new Pacer(clock, maxKBps);
  try {
    for await (const chunk of response) {
      signal.throwIfAborted();
      await part.append(chunk as Uint8Array);
      onProgress?.(part.length, part.ref.bytes);
      await pacer.take((chunk as Uint8Array).length, signal);
    }
  } finally {
    response.destroy();
  }
}

/** The answer to a GET, after its redirections. */
export async function request(
  url: string,
  from: number,
  etag: string | undefined,
  options: Pick<DownloadOptions, "signal" | "stallMs">,
): Promise<http.IncomingMessage> {
  let target = new URL(url);
  for (let hops = 0; hops <= MAX_REDIRECTS; hops++) {
    const response = await get(target, from, etag, options);
    const { statusCode = 0, headers } = response;
    if (statusCode < 300 || statusCode > 399 || headers.location === undefined) return response;
    response.destroy();
    const next = URL.canParse(headers.location, target.href) ? new URL(headers.location, target.href) : undefined;
    const fine = next && (next.protocol === "https:" || (next.protocol === "http:" && target.protocol === "http:"));
    if (!fine) throw final(`it is redirected to ${headers.location}, which is not allowed`);
    target = next;
  }
  throw final(`it is redirected more than ${MAX_REDIRECTS} times`);
}

function get(
  url: URL,
  from: number,
  etag: string | undefined,
  { signal, stallMs = STALL_MS }: Pick<DownloadOptions, "signal" | "stallMs">,
): Promise<http.IncomingMessage> {
  const headers = {
    "accept-encoding": "identity",
    ...(from > 0 && { range: `bytes=${from}-` }),
    ...(from > 0 && etag !== undefined && { "if-range": etag }),
  };
  return new Promise((resolve, reject) => {
    const client = url.protocol === "https:" ? https : http;
    const sent = client.get(url, { headers, agent: false, signal, timeout: stallMs }, resolve);
    sent.on("timeout", () => sent.destroy(new Error(`nothing came for ${stallMs} ms`)));
    sent.on("error", reject);
  });
}

/** Of `content-range: bytes 100-199/200`, 100. */
function startsAt({ headers }: http.IncomingMessage): number {
  return Number(/^bytes (\d+)-/.exec(headers["content-range"] ?? "")?.[1] ?? Number.NaN);
}

/** Weak tags do not promise equal bytes, and If-Range does not take them (RFC 9110, 13.1.5). */
function strongTag({ headers }: http.IncomingMessage): string | undefined {
  return headers.etag?.startsWith('"') ? headers.etag : undefined;
}

function refusal({ statusCode = 0, statusMessage }: http.IncomingMessage): Failure {
  const message = `the server answers ${statusCode} ${statusMessage ?? ""}`.trim();
  return TRANSIENT.has(statusCode) ? new Failure("download/failed", message) : final(message);
}

/** A trouble that trying again does not cure. */
function final(message: string): Failure {
  return new Failure("download/failed", message, { final: true });
}

function failed(url: string, part: Part, cause: unknown): Failure {
  const { bytes, sha256 } = part.ref;
  const message = `${withoutUser(url)}: ${messageOf(cause)}; ${part.length} of ${bytes} bytes are here`;
  return new Failure("download/failed", message, { sha256, bytes }, cause);
}

function withoutUser(url: string): string {
  const { origin, pathname } = new URL(url);
  return origin + pathname;
}
