import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { Failure } from "../../runtime/base/failure.ts";
import type { Transport, TransportListener } from "./transport.ts";

/** A real pseudo terminal: what a program sees that opens `path` as a serial port, and the device's end of it. */
export interface Pty {
  readonly path: string;
  readonly device: Transport;
  /** Ends it as pulling the plug does: the host's end hangs up and the path disappears. */
  unplug(): Promise<void>;
}

const SCRIPT = "/usr/bin/script";

/** Why there can be no pty here, or undefined if there can. */
export function ptyUnavailable(): string | undefined {
  if (process.platform !== "linux") return "needs Linux";
  return existsSync(SCRIPT) ? undefined : `needs ${SCRIPT} (apt-get install bsdutils)`;
}

/**
 * Node cannot open a pty, but script(1) of util-linux can: its first line is the path, after that its stdout is what
 * the host writes and its stdin what the host reads. The shell on the other side makes the line raw, keeps it open,
 * and goes when this process goes.
 * @throws Failure `bridge/open`.
 */
export async function openPty(): Promise<Pty> {
  const missing = ptyUnavailable();
  if (missing) throw new Failure("bridge/open", `a pseudo terminal ${missing}`);
  const shell = `stty raw -echo; tty; while kill -0 ${process.pid}; do sleep 2; done`;
  const child = spawn(SCRIPT, ["-q", "-f", "-c", shell, "/dev/null"], {
    stdio: ["pipe", "pipe", "pipe"],
    env: { ...process.env, SHELL: "/bin/sh" },
  });
  child.stdin.on("error", () => {});
  const exited = new Promise<void>((resolve) => child.once("close", () => resolve()));
  const { path, rest } = await firstLine(child);
  const unplug = async (): Promise<void> => {
    child.kill("SIGKILL");
    await exited;
  };
  return { path, device: new PtyDevice(path, child, rest, unplug), unplug };
}

async function firstLine(child: ChildProcessWithoutNullStreams): Promise<{ path: string; rest: Buffer }> {
  let text: Buffer = Buffer.alloc(0);
  return new Promise((resolve, reject) => {
    const failed = (why: string): void => reject(new Failure("bridge/open", `${SCRIPT} gave no terminal: ${why}`));
    child.once("error", (error) => failed(error.message));
    child.once("close", (code) => failed(`it ended with ${code}, ${text}`));
    child.stdout.on("data", function collect(chunk: Buffer) {
      text = Buffer.concat([text, chunk]);
      const end = text.indexOf("\n");
      if (end < 0) return;
      child.stdout.off("data", collect);
      child.stdout.pause();
      resolve({ path: text.toString("latin1", 0, end).trim(), rest: text.subarray(end + 1) });
    });
  });
}

class PtyDevice implements Transport {
  readonly name: string;
  readonly close: () => Promise<void>;
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #early: Buffer;

  constructor(name: string, child: ChildProcessWithoutNullStreams, early: Buffer, close: () => Promise<void>) {
    this.name = name;
    this.#child = child;
    this.#early = early;
    this.close = close;
  }

  listen(listener: TransportListener): void {
    if (this.#early.length > 0) listener.data(this.#early);
    this.#child.stdout.on("data", (bytes: Buffer) => listener.data(bytes)).resume();
    this.#child.once("close", () => listener.closed("unplugged"));
  }

  write(bytes: Uint8Array): void {
    if (this.#child.stdin.writable) this.#child.stdin.write(bytes);
  }
}
