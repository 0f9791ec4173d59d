import { chmod, lstat, rm } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { Duplex } from "node:stream";
import { Failure } from "../base/failure.ts";
import { Desk } from "./desk.ts";
import type { Servable } from "./servable.ts";

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

/** Who connects and says nothing is let go. */
const REQUEST_TIMEOUT_MS = 30_000;
/** Programs keep their connection between measurements; a server that hangs up first costs them a failed request. */
const KEEP_ALIVE_MS = 60_000;
const MAX_CONNECTIONS = 256;
/** Latencies are told of the last one to two of these. */
const METER_WINDOW_MS = 60_000;

/** Of what is no HTTP, by Node's error code. */
const refusals: Readonly<Record<string, string>> = {
  HPE_HEADER_OVERFLOW: "431 Request Header Fields Too Large",
  HPE_CHUNK_EXTENSIONS_OVERFLOW: "413 Payload Too Large",
  ERR_HTTP_REQUEST_TIMEOUT: "408 Request Timeout",
};

/**
 * The Open Inference Protocol v2 (https://github.com/kserve/open-inference-protocol): health, metadata and infer, with
 * JSON or the binary tensor extension; and /metrics for Prometheus. Bad requests get a 4xx and a sentence; too many at
 * once a 503.
 * @throws Failure serve/unavailable if the socket or port can't be had
 */
export async function openServer({ socket, port }: ServeOptions, servable: Servable): Promise<InferenceServer> {
  const desk = new Desk(servable);
  const servers: Server[] = [];
  const listen = async (at: string | number): Promise<Server> => {
    const server = createServer(
      { requestTimeout: REQUEST_TIMEOUT_MS, keepAliveTimeout: KEEP_ALIVE_MS },
      (request, response) => void desk.answer(request, response),
    );
    server.maxConnections = MAX_CONNECTIONS;
    server.on("clientError", refuse);
    server.on("connect", (_, stream) => refuse({ message: "no proxy" }, stream));
    await listening(server, at);
    servers.push(server);
    return server;
  };
  if (socket !== undefined) {
    await clearSocket(socket);
    await listen(socket);
    await chmod(socket, 0o660);
  }
  const turning = setInterval(() => desk.meter.turn(), METER_WINDOW_MS).unref();
  const address = port === undefined ? undefined : (await listen(port)).address();
  return {
    port: typeof address === "object" ? address?.port : undefined,
    async close() {
      clearInterval(turning);
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

/** What is no request, or no whole one. */
function refuse({ code = "", message }: { code?: string; message: string }, stream: Duplex): void {
  if (!stream.writable || code === "ECONNRESET") {
    stream.destroy();
    return;
  }
  const body = JSON.stringify({ error: `not a request: ${message}` });
  const status = refusals[code] ?? "400 Bad Request";
  const headers = `Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close`;
  stream.end(`HTTP/1.1 ${status}\r\n${headers}\r\n\r\n${body}`, () => stream.destroy());
}
