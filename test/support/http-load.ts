import { connect, type Socket } from "node:net";
import type { Port } from "../../runtime/serve/servable.ts";
import { until } from "./until.ts";

/** What one request was answered. */
export interface Answered {
  readonly status: number;
  /** Of the whole answer: head and body. */
  readonly bytes: Buffer;
}

/** A connection that is kept, on which requests may follow each other without waiting (HTTP/1.1 pipelining). */
export class LoadConnection {
  readonly #socket: Socket;
  readonly #waiting: ((answer: Answered | undefined) => void)[] = [];
  #rest: Buffer = Buffer.alloc(0);

  constructor(path: string) {
    this.#socket = connect(path);
    this.#socket.on("data", (part) => this.#take(part));
    this.#socket.on("error", () => undefined);
    this.#socket.on("close", () => {
      for (const tell of this.#waiting.splice(0)) tell(undefined);
    });
  }

  /** `answered` gets undefined if the connection ends instead. */
  send(request: Uint8Array, answered: (answer: Answered | undefined) => void): void {
    this.#waiting.push(answered);
    this.#socket.write(request);
  }

  /** Undefined if the connection ends instead. */
  ask(request: Uint8Array): Promise<Answered | undefined> {
    return new Promise((resolve) => this.send(request, resolve));
  }

  /** No more requests follow; answers still may. */
  finish(): void {
    this.#socket.end();
  }

  close(): void {
    this.#socket.destroy();
  }

  #take(part: Buffer): void {
    this.#rest = this.#rest.length === 0 ? part : Buffer.concat([this.#rest, part]);
    for (;;) {
      const headEnd = this.#rest.indexOf("\r\n\r\n");
      if (headEnd < 0) return;
      const head = this.#rest.toString("latin1", 0, headEnd);
      const length = headEnd + 4 + Number(/\r\ncontent-length: (\d+)/i.exec(head)?.[1] ?? 0);
      if (this.#rest.length < length) return;
      const bytes = this.#rest.subarray(0, length);
      this.#rest = this.#rest.subarray(length);
      this.#waiting.shift()?.({ status: Number(head.slice(9, 12)), bytes });
    }
  }
}

/** A whole request for one sample with the binary tensor extension, both ways. */
export function inferRequest(model: string, { name, shape }: Port, sample: Float32Array): Buffer {
  const tensor = Buffer.from(sample.buffer, sample.byteOffset, sample.byteLength);
  const inputs = [{ name, shape, datatype: "FP32", parameters: { binary_data_size: tensor.length } }];
  const json = Buffer.from(JSON.stringify({ inputs, parameters: { binary_data_output: true } }));
  const head =
    `POST /v2/models/${model}/infer HTTP/1.1\r\nHost: device\r\nContent-Length: ${json.length + tensor.length}\r\n` +
    `Content-Type: application/octet-stream\r\nInference-Header-Content-Length: ${json.length}\r\n\r\n`;
  return Buffer.concat([Buffer.from(head), json, tensor]);
}

export interface Load {
  /** Shortest first. */
  readonly latenciesMs: Float64Array;
  readonly seconds: number;
  /** Answers other than 200. */
  readonly refused: number;
}

/** As fast as it answers: every connection has `depth` requests under way. */
export async function closedLoop(
  connections: readonly LoadConnection[],
  depth: number,
  request: Uint8Array,
  ms: number,
): Promise<Load> {
  const tally = new Tally();
  const end = performance.now() + ms;
  const chain = (connection: LoadConnection): void => {
    const began = performance.now();
    if (began > end) return;
    tally.ask(connection, request, began, () => chain(connection));
  };
  for (const connection of connections) for (let i = 0; i < depth; i++) chain(connection);
  return tally.done(ms);
}

/**
 * At a rate, whether it answers or not. Latencies count from when a request was due, not from when it could be sent, so
 * that a server that stalls can't hide it ("coordinated omission", G. Tene).
 */
export async function openLoop(
  connections: readonly LoadConnection[],
  perSecond: number,
  request: Uint8Array,
  ms: number,
): Promise<Load> {
  const tally = new Tally();
  const began = performance.now();
  const count = Math.floor((perSecond * ms) / 1000);
  for (let i = 0; i < count; ) {
    const due = began + (i * 1000) / perSecond;
    if (performance.now() < due) await new Promise(setImmediate);
    else tally.ask(connections[i++ % connections.length], request, due);
  }
  return tally.done(ms);
}

class Tally {
  readonly #latenciesMs: number[] = [];
  readonly #began = performance.now();
  #lastMs = 0;
  #asked = 0;
  #refused = 0;

  ask(connection: LoadConnection, request: Uint8Array, dueMs: number, then?: () => void): void {
    this.#asked++;
    connection.send(request, (answer) => {
      this.#lastMs = performance.now();
      this.#latenciesMs.push(this.#lastMs - dueMs);
      if (answer?.status !== 200) this.#refused++;
      then?.();
    });
  }

  async done(ms: number): Promise<Load> {
    await new Promise((resolve) => setTimeout(resolve, this.#began + ms - performance.now()));
    await until("the last answers", () => this.#latenciesMs.length === this.#asked);
    const latenciesMs = Float64Array.from(this.#latenciesMs).sort();
    return { latenciesMs, seconds: (this.#lastMs - this.#began) / 1000, refused: this.#refused };
  }
}
