import { read, write } from "node:fs";
import { createRequire } from "node:module";
import { promisify } from "node:util";
import { SerialPort } from "serialport";

/**
 * Three faults of @serialport/bindings-cpp 13.0.0 on Linux, cured from outside:
 *
 * 1. unixRead retries for ever when read() returns 0, which is how a tty hangs up: an unplug is then never seen and
 *    one core spins (serialport/bindings-cpp#162). Here 0 bytes are a disconnect.
 * 2. The poller replaces its event mask instead of widening it, so waiting for "readable" cancels a wait for
 *    "writable", and a write that had to wait never ends. Here writes poll with a growing pause and need no poller.
 * 3. The poller calls into JavaScript without a callback scope: from Node 26.4 on promises then continue only at the
 *    next turn of the event loop, so data arrives late. Here every poller event causes that turn at once.
 *
 * Elsewhere the stock binding is used as it is.
 */
export type Binding = typeof SerialPort.binding;
type Port = Awaited<ReturnType<Binding["open"]>>;

const stock = SerialPort.binding;

export const safeBinding: Binding =
  process.platform === "linux"
    ? ({
        list: () => stock.list(),
        open: async (options: unknown) => safe((await stock.open(options as never)) as unknown as LinuxPort),
      } as Binding)
    : stock;

/** What this module relies on inside the pinned version; serialport.test.ts checks it at every upgrade. */
interface LinuxPort {
  readonly fd: number | null;
  readonly isOpen: boolean;
  readonly poller: { on(event: string, listener: () => void): void };
  /** What drain() waits for. */
  writeOperation: Promise<void> | null;
  read(buffer: Buffer, offset: number, length: number): Promise<ReadResult>;
  write(buffer: Buffer): Promise<void>;
}
interface ReadResult {
  readonly buffer: Buffer;
  readonly bytesRead: number;
}
type Read = (fd: number, buffer: Buffer, offset: number, length: number, at: null) => Promise<ReadResult>;
type UnixRead = (options: {
  binding: LinuxPort;
  buffer: Buffer;
  offset: number;
  length: number;
  fsReadAsync: Read;
}) => Promise<ReadResult>;

/** Found from serialport's own place, wherever the package manager has put its dependencies. */
const fromSerialport = createRequire(createRequire(import.meta.url).resolve("serialport"));

function safe(port: LinuxPort): Port {
  const { unixRead } = fromSerialport("@serialport/bindings-cpp/dist/unix-read.js") as { unixRead: UnixRead };
  for (const event of ["readable", "writable", "disconnect"]) port.poller.on(event, () => setImmediate(() => {}));
  port.read = (buffer, offset, length) =>
    unixRead({ binding: port, buffer, offset, length, fsReadAsync: readOrHangUp });
  port.write = (buffer) => {
    port.writeOperation = writeAll(port, buffer).finally(() => {
      port.writeOperation = null;
    });
    return port.writeOperation;
  };
  return port as unknown as Port;
}

const readSome = promisify(read) as Read;
const writeSome = promisify(write);

const readOrHangUp: Read = async (...request) => {
  const result = await readSome(...request);
  if (result.bytesRead === 0) throw Object.assign(new Error("the line hung up"), { code: "EIO", disconnect: true });
  return result;
};

/** Small pieces keep one slow port from holding a thread of libuv's pool for long. */
const PIECE_BYTES = 4096;
const LONGEST_PAUSE_MS = 16;

async function writeAll(port: LinuxPort, data: Buffer): Promise<void> {
  let pauseMs = 1;
  for (let at = 0; at < data.length; ) {
    if (!port.isOpen || port.fd === null) throw Object.assign(new Error("Port is not open"), { canceled: true });
    const written = await writeSome(port.fd, data, at, Math.min(data.length - at, PIECE_BYTES)).then(
      ({ bytesWritten }) => bytesWritten,
      full,
    );
    at += written;
    pauseMs = written > 0 ? 1 : Math.min(2 * pauseMs, LONGEST_PAUSE_MS);
    if (written === 0) await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
}

/** A full or interrupted write has written nothing; anything else is an error. */
function full(error: NodeJS.ErrnoException): 0 {
  if (error.code === "EAGAIN" || error.code === "EWOULDBLOCK" || error.code === "EINTR") return 0;
  throw error;
}
