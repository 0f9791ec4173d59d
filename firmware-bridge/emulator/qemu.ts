import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Failure } from "../../runtime/base/failure.ts";
import type { Transport } from "../transport/transport.ts";

export interface QemuStart {
  /** QEMU's name of the machine. */
  readonly board: string;
  /** The firmware, an ELF file. */
  readonly firmware: string;
  /** As ChipStart. */
  readonly seed?: number;
  readonly ageSeconds?: number;
  /** Than the profile's reference, kelvins. */
  readonly warmerC?: number;
}

/** Where the firmware's straps lie: at the beginning of the RAM of all boards. */
const STRAPS = 0x2000_0000;
const CONNECT_TRIES = 200;

/**
 * The C firmware on an emulated microcontroller. It goes on while nobody listens, as a board with its own supply does;
 * what it says then is lost.
 */
export class QemuDevice {
  readonly #child: ChildProcess;
  readonly #line: Socket;
  readonly #folder: string;
  #host: Transport | undefined;

  private constructor(child: ChildProcess, line: Socket, folder: string) {
    this.#child = child;
    this.#line = line;
    this.#folder = folder;
    line.on("data", (bytes: Buffer) => this.#host?.write(bytes));
    line.on("error", () => {});
  }

  /** @throws Failure `bridge/open` with what QEMU says. */
  static async start(start: QemuStart): Promise<QemuDevice> {
    const folder = await mkdtemp(join(tmpdir(), "polaredge-qemu-"));
    const path = join(folder, "uart");
    const child = spawn("setpriv", ["--pdeathsig", "KILL", "qemu-system-arm", ...argumentsOf(start, path)], {
      stdio: ["pipe", "ignore", "pipe"],
    });
    let said = "";
    child.stderr?.on("data", (text: Buffer) => {
      said += text;
    });
    child.on("error", (error) => {
      said += error.message;
    });
    for (let i = 0; i < CONNECT_TRIES && child.exitCode === null; i++) {
      const line = await connected(path);
      if (line) return new QemuDevice(child, line, folder);
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
    child.kill("SIGKILL");
    await rm(folder, { recursive: true, force: true });
    throw new Failure("bridge/open", `QEMU does not start: ${said.trim()}`);
  }

  /** Plugs it in. Resolves with the reason when the line has ended. */
  serve(host: Transport): Promise<string> {
    this.#host = host;
    return new Promise((resolve) => {
      host.listen({
        data: (bytes) => void this.#line.write(bytes),
        closed: (reason) => {
          if (this.#host === host) this.#host = undefined;
          resolve(reason);
        },
      });
    });
  }

  /** As its reset button does. */
  reset(): void {
    this.#child.stdin?.write("system_reset\n");
  }

  async stop(): Promise<void> {
    const gone = new Promise((resolve) => this.#child.once("exit", resolve));
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      this.#child.kill("SIGKILL");
      await gone;
    }
    this.#line.destroy();
    await rm(this.#folder, { recursive: true, force: true });
  }
}

function argumentsOf({ board, firmware, seed = 1, ageSeconds = 0, warmerC = 0 }: QemuStart, path: string): string[] {
  const noise = Math.floor(2 ** 32 * Math.random());
  const straps = [noise, seed, ageSeconds, Math.round(1000 * warmerC)];
  const loaders = straps.flatMap((word, i) => [
    "-device",
    `loader,addr=0x${(STRAPS + 4 * i).toString(16)},data=0x${(word >>> 0).toString(16)},data-len=4`,
  ]);
  const line = `unix:${path},server=on,wait=on`;
  return ["-M", board, "-display", "none", "-monitor", "stdio", "-serial", line, "-kernel", firmware, ...loaders];
}

function connected(path: string): Promise<Socket | undefined> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once("connect", () => resolve(socket));
    socket.once("error", () => resolve(undefined));
  });
}
