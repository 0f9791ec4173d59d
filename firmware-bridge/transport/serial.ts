import { SerialPort } from "serialport";
import { Failure, messageOf } from "../../runtime/base/failure.ts";
import { safeBinding } from "./binding.ts";
import type { Transport, TransportListener } from "./transport.ts";

/**
 * Opens a serial port: 8 data bits, no parity, 1 stop bit, no flow control (the protocol has its own credits).
 * What the driver still held from before is thrown away.
 * @throws Failure `bridge/open` with the driver's reason.
 */
export async function openSerial(path: string, baudRate: number): Promise<Transport> {
  const options = { path, baudRate, binding: safeBinding, autoOpen: false };
  const port = new SerialPort(options);
  const transport = new SerialTransport(port);
  await new Promise<void>((resolve, reject) => {
    port.open((error) => (error ? reject(unopened(path, error)) : resolve()));
  });
  await new Promise<void>((resolve) => {
    port.flush(() => resolve());
  });
  return transport;
}

function unopened(path: string, error: Error): Failure {
  const advice = /permission/i.test(error.message) ? " (is the user in the group dialout?)" : "";
  return new Failure("bridge/open", `cannot open ${path}: ${messageOf(error)}${advice}`, { path }, error);
}

class SerialTransport implements Transport {
  readonly name: string;
  readonly #port: SerialPort;
  #over = false;
  #listener: TransportListener | undefined;

  constructor(port: SerialPort) {
    this.name = port.path;
    this.#port = port;
    port.on("error", (error) => this.#end(error.message));
    port.on("close", (error: Error | null) => this.#end(error ? error.message : "closed"));
  }

  /** A stream that nobody reads keeps its data, so nothing is lost before this. */
  listen(listener: TransportListener): void {
    this.#listener = listener;
    this.#port.on("data", (bytes: Buffer) => listener.data(bytes));
    if (this.#over) queueMicrotask(() => listener.closed("closed"));
  }

  write(bytes: Uint8Array): void {
    if (!this.#over) this.#port.write(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length));
  }

  async close(): Promise<void> {
    if (!this.#port.isOpen) return;
    await new Promise<void>((resolve) => {
      this.#port.close(() => resolve());
    });
  }

  /** `close` and `error` may both come, and `close` twice; the listener hears one. */
  #end(reason: string): void {
    if (this.#over) return;
    this.#over = true;
    this.#port.close(() => {});
    this.#listener?.closed(reason);
  }
}
