import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";

/** The firmware as a process of this machine: bytes in, bytes out. */
export class HostFirmware {
  readonly #child: ChildProcessWithoutNullStreams;
  #got: Buffer = Buffer.alloc(0);
  #errors = "";
  #waiting: (() => void) | undefined;

  /** `straps`: noise, seed, age in seconds, warmer in thousandths of a kelvin. */
  constructor(path: string, straps: readonly number[]) {
    this.#child = spawn(path, straps.map(String));
    this.#child.stdout.on("data", (bytes: Buffer) => {
      this.#got = Buffer.concat([this.#got, bytes]);
      this.#waiting?.();
    });
    this.#child.stderr.on("data", (text: Buffer) => {
      this.#errors += text;
    });
    this.#child.once("exit", () => this.#waiting?.());
    this.#child.stdin.on("error", () => {});
  }

  send(bytes: Uint8Array): void {
    this.#child.stdin.write(bytes);
  }

  /** The next `length` bytes. @throws Error what the process said, if it ended, or after 10 s */
  async take(length: number): Promise<Buffer> {
    const end = performance.now() + 10_000;
    while (this.#got.length < length) {
      if (this.#child.exitCode !== null) throw new Error(`the firmware ended: ${this.#errors}`);
      if (performance.now() > end) throw new Error(`${length} bytes expected, ${this.#got.length} came in 10 s`);
      await new Promise<void>((resolve) => {
        this.#waiting = resolve;
        setTimeout(resolve, 1000).unref();
      });
    }
    const taken = this.#got.subarray(0, length);
    this.#got = this.#got.subarray(length);
    return taken;
  }

  /** What came and nobody took. */
  get left(): number {
    return this.#got.length;
  }

  async end(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const gone = new Promise((resolve) => this.#child.once("exit", resolve));
    this.#child.kill("SIGKILL");
    await gone;
  }
}
