import { connect, type Socket } from "node:net";
import { Failure } from "../../runtime/base/failure.ts";
import type { Transport, TransportListener } from "./transport.ts";

/** A host that is off answers nothing at all. */
const CONNECT_MS = 3000;

/**
 * Opens a serial line that somebody serves over TCP, such as ser2net or an ESP32 bridge: raw bytes, no telnet.
 * @throws Failure `bridge/open`
 */
export async function openTcp(host: string, port: number): Promise<Transport> {
  const socket = connect({ host, port, noDelay: true });
  await new Promise<void>((resolve, reject) => {
    const failed = (why: string): void => {
      socket.destroy();
      reject(new Failure("bridge/open", `cannot open tcp://${host}:${port}: ${why}`, { host, port }));
    };
    socket.setTimeout(CONNECT_MS, () => failed(`no answer in ${CONNECT_MS} ms`));
    socket.once("error", (error) => failed(error.message));
    socket.once("connect", () => {
      socket.setTimeout(0);
      resolve();
    });
  });
  return new TcpTransport(`tcp://${host}:${port}`, socket);
}

class TcpTransport implements Transport {
  readonly name: string;
  readonly #socket: Socket;
  #over: string | undefined;
  #listener: TransportListener | undefined;

  constructor(name: string, socket: Socket) {
    this.name = name;
    this.#socket = socket;
    socket.removeAllListeners("error");
    socket.on("error", (error) => this.#end(error.message));
    socket.on("close", () => this.#end("closed"));
  }

  /** A stream that nobody reads keeps its data, so nothing is lost before this. */
  listen(listener: TransportListener): void {
    this.#listener = listener;
    this.#socket.on("data", (bytes: Buffer) => listener.data(bytes));
    const over = this.#over;
    if (over !== undefined) queueMicrotask(() => listener.closed(over));
  }

  write(bytes: Uint8Array): void {
    if (this.#over === undefined) this.#socket.write(Uint8Array.from(bytes));
  }

  async close(): Promise<void> {
    this.#socket.destroy();
    this.#end("closed");
  }

  #end(reason: string): void {
    if (this.#over !== undefined) return;
    this.#over = reason;
    this.#socket.destroy();
    this.#listener?.closed(reason);
  }
}
