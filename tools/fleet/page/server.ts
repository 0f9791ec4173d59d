import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { Failure, isFailure, messageOf } from "../../../runtime/base/failure.ts";
import type { Actions } from "./actions.ts";
import type { Feed, Subject } from "./feed.ts";
import { type PageFile, pageFiles, securityPolicy } from "./files.ts";
import { type Guard, isSameOrigin } from "./guard.ts";
import { Streams } from "./streams.ts";

export interface PageParts {
  readonly feed: Feed;
  readonly guard: Guard;
  /** Undefined where the page may only look. */
  readonly actions: Actions | undefined;
  /** What operators did; rejects if the log was changed. */
  readonly audit: () => Promise<unknown>;
}

export interface PageServer {
  readonly port: number;
  close(): Promise<void>;
}

const MAX_BODY_BYTES = 4 * 1024;
const MAX_CONNECTIONS = 512;
const REQUEST_TIMEOUT_MS = 10_000;

const headers = {
  "content-security-policy": securityPolicy,
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
} as const;

/** Status and code of what is refused, by the failure's code. */
const statuses: Readonly<Record<string, number>> = {
  "input/missing": 404,
  "input/malformed": 400,
  "serve/too-large": 413,
  "serve/busy": 503,
  "fleet/unreachable": 503,
};

/** The fleet page over HTTP. @throws Failure serve/unavailable if the port can't be had */
export async function openPage(host: string, port: number, parts: PageParts): Promise<PageServer> {
  const desk = new Desk(parts);
  const server = createServer({ requestTimeout: REQUEST_TIMEOUT_MS }, (request, response) => {
    desk.answer(request, response).catch((error: unknown) => refuse(response, error));
  });
  server.maxConnections = MAX_CONNECTIONS;
  await listening(server, host, port);
  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      desk.close();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function listening(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (error) =>
      reject(new Failure("serve/unavailable", `can't listen on ${host}:${port}: ${messageOf(error)}`, {}, error)),
    );
    server.listen(port, host, resolve);
  });
}

class Desk {
  readonly #parts: PageParts;
  readonly #files = pageFiles();
  readonly #streams = new Streams();

  constructor(parts: PageParts) {
    this.#parts = parts;
  }

  close(): void {
    this.#streams.close();
  }

  async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
    const url = new URL(request.url ?? "/", "http://page");
    if (request.method === "POST" && url.pathname === "/sign-in") return this.#signIn(request, response);
    const refusal = this.#parts.guard.refusal(request.headers);
    if (refusal?.status === 401 && url.pathname === "/")
      return this.#send(request, response, "/site/sign-in.html", 401);
    if (refusal && !isPublic(url.pathname)) return say(response, refusal.status, { error: refusal.text });
    if (request.method === "POST") return this.#act(request, response, url);
    if (request.method !== "GET") return say(response, 405, { error: "GET or POST" });
    if (url.pathname === "/events") return this.#stream(response, url.searchParams);
    if (url.pathname === "/audit") return say(response, 200, await this.#parts.audit());
    return this.#send(request, response, url.pathname);
  }

  #send(request: IncomingMessage, response: ServerResponse, path: string, status = 200): void {
    const file = this.#files.get(path);
    if (!file) throw new Failure("input/missing", `there is no ${path}`);
    response.setHeader("cache-control", "no-cache");
    response.setHeader("etag", file.etag);
    const known = request.headers["if-none-match"] === file.etag && status === 200;
    if (known) response.writeHead(304).end();
    else write(response, status, file, /\bgzip\b/.test(String(request.headers["accept-encoding"])));
  }

  #stream(response: ServerResponse, query: URLSearchParams): void {
    const subject = subjectIn(query);
    if (!subject) throw new Failure("input/malformed", "of=fleet, of=device&id= or of=rollout&id=");
    const send = this.#streams.open(response);
    if (!send) throw new Failure("serve/busy", "too many are watching");
    response.once("close", this.#parts.feed.subscribe(subject, send));
  }

  async #act(request: IncomingMessage, response: ServerResponse, url: URL): Promise<void> {
    const { actions } = this.#parts;
    if (url.pathname !== "/actions") return say(response, 404, { error: "there is nothing to post to" });
    if (!actions) return say(response, 403, { error: "this page may only look; start it with --allow-actions" });
    if (!isSameOrigin(request.headers)) return say(response, 403, { error: "from the page itself only" });
    const body = await bodyOf(request);
    return say(response, 200, { done: await actions.take(body) });
  }

  /** A form, so that it works before anything of the page was loaded. */
  async #signIn(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (!isSameOrigin(request.headers)) return say(response, 403, { error: "from the page itself only" });
    const token = new URLSearchParams(await bodyOf(request)).get("token") ?? "";
    const cookie = this.#parts.guard.signIn(token);
    if (cookie === undefined) return this.#send(request, response, "/site/sign-in.html", 401);
    response.writeHead(303, { "set-cookie": cookie, location: "/" }).end();
  }
}

/** What the form to sign in looks like is no secret. */
function isPublic(path: string): boolean {
  return path === "/site/style.css" || path === "/site/icon.svg";
}

function subjectIn(query: URLSearchParams): Subject | undefined {
  const [of, id] = [query.get("of"), query.get("id")];
  if (of === "fleet") return { of };
  return (of === "device" || of === "rollout") && id !== null && id !== "" ? { of, id } : undefined;
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request) {
    bytes += (chunk as Buffer).length;
    if (bytes > MAX_BODY_BYTES) throw new Failure("serve/too-large", `more than ${MAX_BODY_BYTES} bytes`);
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks).toString();
}

function write(response: ServerResponse, status: number, { type, data, zipped }: PageFile, zip: boolean): void {
  const body = zip ? zipped : data;
  response.writeHead(status, {
    "content-type": type,
    "content-length": body.length,
    vary: "accept-encoding",
    ...(zip && { "content-encoding": "gzip" }),
  });
  response.end(body);
}

function say(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { "content-type": "application/json", "cache-control": "no-store" });
  response.end(JSON.stringify(body));
}

function refuse(response: ServerResponse, error: unknown): void {
  if (response.headersSent) return void response.destroy();
  const status = isFailure(error) ? (statuses[error.code] ?? 409) : 500;
  if (status === 413) response.setHeader("connection", "close");
  say(response, status, { error: messageOf(error), code: isFailure(error) ? error.code : undefined });
}
