import { chmod, lstat, rm } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { Failure, isFailure, messageOf } from "../base/failure.ts";
import { readInfer, writeInfer } from "./inference.ts";
import type { Servable, ServedModel } from "./servable.ts";

/** Where other programs on this device can ask the model: a Unix socket, and a port of 127.0.0.1 if wanted. */
export interface ServeOptions {
  readonly socket?: string | undefined;
  readonly port?: number | undefined;
}

export interface InferenceServer {
  /** Of 127.0.0.1; undefined without one. */
  readonly port: number | undefined;
  close(): Promise<void>;
}

/** A body above this is refused before it is read: hundreds of images. */
const MAX_BODY_BYTES = 16 * 1024 * 1024;
/** Requests under way; more would only wait longer. */
const MAX_PENDING = 64;
/** Who connects and says nothing is let go. */
const REQUEST_TIMEOUT_MS = 30_000;

const statuses: Partial<Record<string, number>> = {
  "serve/malformed": 400,
  "input/shape": 400,
  "serve/cross-origin": 403,
  "serve/not-found": 404,
  "serve/too-large": 413,
  "serve/busy": 503,
  "agent/not-serving": 503,
};

/**
 * The Open Inference Protocol v2 (https://github.com/kserve/open-inference-protocol): health, metadata and infer, with
 * JSON or the binary tensor extension. Bad requests get a 4xx and a sentence; too many at once a 503.
 * @throws Failure serve/unavailable if the socket or port can't be had
 */
export async function openServer({ socket, port }: ServeOptions, servable: Servable): Promise<InferenceServer> {
  const desk = new Desk(servable);
  const servers: Server[] = [];
  const listen = async (at: string | number): Promise<Server> => {
    const server = createServer(
      { requestTimeout: REQUEST_TIMEOUT_MS },
      (request, response) => void desk.answer(request, response),
    );
    await listening(server, at);
    servers.push(server);
    return server;
  };
  if (socket !== undefined) {
    await clearSocket(socket);
    await listen(socket);
    await chmod(socket, 0o660);
  }
  const address = port === undefined ? undefined : (await listen(port)).address();
  return {
    port: typeof address === "object" ? address?.port : undefined,
    async close() {
      for (const server of servers) {
        server.closeAllConnections();
        await new Promise((resolve) => server.close(resolve));
      }
    },
  };
}

/** What an earlier process left behind; anything but a socket is somebody else's. */
async function clearSocket(path: string): Promise<void> {
  const found = await lstat(path).catch(() => undefined);
  if (found && !found.isSocket()) {
    throw new Failure("serve/unavailable", `can't listen on ${path}: there is a file that is no socket`, { path });
  }
  await rm(path, { force: true });
}

function listening(server: Server, at: string | number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (error) => {
      reject(new Failure("serve/unavailable", `can't listen on ${at}: ${error.message}`, { at }, error));
    });
    if (typeof at === "string") server.listen(at, resolve);
    else server.listen(at, "127.0.0.1", resolve);
  });
}

type Answer = Readonly<Record<string, unknown>> | undefined;

/** Where requests are answered. */
class Desk {
  readonly #servable: Servable;
  #pending = 0;

  constructor(servable: Servable) {
    this.#servable = servable;
  }

  /** Never throws: what goes wrong is an answer too. */
  async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      if (request.headers.origin !== undefined) throw crossOrigin();
      const { pathname } = new URL(request.url ?? "/", "http://device");
      const [, version, ...path] = pathname.split("/");
      if (version !== "v2") throw notFound(pathname);
      if (request.method === "POST") await this.#infer(path, request, response);
      else send(response, 200, this.#tell(path, pathname));
    } catch (error) {
      const status = (isFailure(error) && statuses[error.code]) || 500;
      send(response, status, { error: messageOf(error) });
    }
  }

  /** GET: health and metadata. */
  #tell(path: readonly string[], pathname: string): Answer {
    const model = this.#servable.model();
    switch (path.join("/")) {
      case "":
        return { name: "polaredge", version: "2", extensions: ["binary_tensor_data"] };
      case "health/live":
        return undefined;
      case "health/ready":
        if (!model) throw new Failure("agent/not-serving", "no model is installed yet");
        return undefined;
    }
    if (path[0] !== "models") throw notFound(pathname);
    const { served, rest } = this.#modelAt(path, pathname);
    if (rest === "ready") return undefined;
    if (rest === "") return metadataOf(served);
    throw notFound(pathname);
  }

  async #infer(path: readonly string[], request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { served, rest } = this.#modelAt(path, request.url ?? "");
    if (rest !== "infer") throw notFound(request.url ?? "");
    if (this.#pending >= MAX_PENDING)
      throw new Failure("serve/busy", `${MAX_PENDING} requests are under way; ask again later`);
    this.#pending++;
    try {
      const asked = readInfer(await bodyOf(request), headerLengthOf(request), served);
      const answers: Float32Array[] = [];
      for (const sample of asked.samples) answers.push(await this.#servable.infer(sample));
      const { body, headerLength } = writeInfer(asked, answers, served);
      const type = headerLength === undefined ? "application/json" : "application/octet-stream";
      const headers = headerLength === undefined ? {} : { "inference-header-content-length": headerLength };
      response.writeHead(200, { "content-type": type, "content-length": body.length, ...headers }).end(body);
    } finally {
      this.#pending--;
    }
  }

  /** models/NAME[/versions/VERSION][/REST] */
  #modelAt(path: readonly string[], pathname: string): { served: ServedModel; rest: string } {
    const [, name, ...more] = path;
    const [version, rest] = more[0] === "versions" ? [more[1], more.slice(2)] : [undefined, more];
    const served = this.#servable.model();
    if (!served) throw new Failure("agent/not-serving", "no model is installed yet");
    if (served.name !== name || (version !== undefined && served.version !== version)) {
      throw new Failure("serve/not-found", `${pathname}: this device serves ${served.name} ${served.version}`);
    }
    return { served, rest: rest.join("/") };
  }
}

function metadataOf({ name, version, input, output }: ServedModel): Answer {
  const port = ({ name, shape }: ServedModel["input"]): Answer => ({
    name,
    datatype: "FP32",
    shape: [-1, ...shape.slice(1)],
  });
  return { name, versions: [version], platform: "polaredge", inputs: [port(input)], outputs: [port(output)] };
}

function headerLengthOf({ headers }: IncomingMessage): number | undefined {
  const text = headers["inference-header-content-length"];
  if (text === undefined || /^\d{1,9}$/.test(String(text))) return text === undefined ? undefined : Number(text);
  throw new Failure("serve/malformed", `inference-header-content-length: expected a number of bytes, got ${text}`);
}

async function bodyOf(request: IncomingMessage): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of request) {
    length += part.length;
    if (length > MAX_BODY_BYTES) {
      throw new Failure("serve/too-large", `a body of more than ${MAX_BODY_BYTES} bytes; send fewer samples at a time`);
    }
    parts.push(part);
  }
  return Buffer.concat(parts);
}

function send(response: ServerResponse, status: number, answer: Answer): void {
  if (response.headersSent || response.destroyed) return;
  const body = answer === undefined ? "" : JSON.stringify(answer);
  const headers = { "content-type": "application/json", "content-length": Buffer.byteLength(body) };
  // What is left of a refused body is not read.
  response.writeHead(status, status >= 400 ? { ...headers, connection: "close" } : headers).end(body);
}

/** Browsers say where a page comes from; no page has any business here. */
function crossOrigin(): Failure {
  return new Failure("serve/cross-origin", "web pages may not ask this device");
}

function notFound(path: string): Failure {
  return new Failure("serve/not-found", `${path}: not a path of the Open Inference Protocol v2`);
}
