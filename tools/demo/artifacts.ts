import { createHash } from "node:crypto";
import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** What a job says of a file: where it is and what it must be. */
export interface Artifact {
  readonly url: string;
  readonly sha256: string;
  readonly bytes: number;
}

/** Serves files over HTTP on this machine, in parts where asked for, as any web server does. */
export class ArtifactServer {
  readonly #files = new Map<string, Uint8Array>();
  readonly #server: Server;

  private constructor() {
    this.#server = createServer((request, response) => {
      const file = this.#files.get(request.url ?? "");
      if (file) send(file, request.headers.range, response);
      else response.writeHead(404).end();
    });
  }

  static async start(): Promise<ArtifactServer> {
    const artifacts = new ArtifactServer();
    await new Promise<void>((resolve) => artifacts.#server.listen(0, "127.0.0.1", resolve));
    return artifacts;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  add(name: string, bytes: Uint8Array): Artifact {
    this.#files.set(`/${name}`, bytes);
    const sha256 = createHash("sha256").update(bytes).digest("hex");
    return { url: `${this.url}/${name}`, sha256, bytes: bytes.length };
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

function send(file: Uint8Array, range: string | undefined, response: ServerResponse): void {
  const [, from] = /^bytes=(\d+)-$/.exec(range ?? "") ?? [];
  const start = Number(from ?? 0);
  if (start > file.length) {
    response.writeHead(416, { "content-range": `bytes */${file.length}` }).end();
    return;
  }
  const part = file.subarray(start);
  const headers = { "content-length": part.length, "accept-ranges": "bytes" };
  if (from === undefined) response.writeHead(200, headers);
  else response.writeHead(206, { ...headers, "content-range": `bytes ${start}-${file.length - 1}/${file.length}` });
  response.end(part);
}
