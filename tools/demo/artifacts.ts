import { readFile } from "node:fs/promises";
import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";

/** Publishes a folder over HTTP on this machine, files in parts where asked for, as any web server does. */
export class ArtifactServer {
  readonly #server: Server;

  private constructor(folder: string) {
    this.#server = createServer((request, response) => {
      const path = request.url ?? "";
      const fine = /^(\/[\w+-][\w.+-]*)+$/.test(path);
      const file = fine ? readFile(join(folder, path)) : Promise.reject(new Error("not a file of this folder"));
      file.then(
        (data) => send(data, request.headers.range, response),
        () => response.writeHead(404).end(),
      );
    });
  }

  static async start(folder: string): Promise<ArtifactServer> {
    const artifacts = new ArtifactServer(folder);
    await new Promise<void>((resolve) => artifacts.#server.listen(0, "127.0.0.1", resolve));
    return artifacts;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
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
