import { type ChildProcess, execFile, spawn } from "node:child_process";
import { constants, openSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { Failure } from "../../runtime/base/failure.ts";
import type { Transport } from "../transport/transport.ts";
import { type Exposure, expose } from "./bench.ts";
import { probeMemory } from "./probe.ts";
import { STRAPS_ADDRESS, type Straps, strapWords } from "./straps.ts";

export interface QemuBoard {
  /** QEMU's name of the machine. */
  readonly board: string;
  /** What its firmware talks through: a UART as on the board, or QEMU's console, which is many times as fast. */
  readonly line: "uart" | "semihosting";
}

export interface QemuStart extends QemuBoard, Straps {
  /** The firmware, an ELF file. */
  readonly firmware: string;
}

/** QEMU writes each byte by itself; what comes in such a time is passed on together, as by a USB adapter. */
const GATHER_MS = 1;
/** Files of its folder: the ends of its serial line, and the socket of a debug probe. */
const LINE = "line";
const PROBE = "probe";
const run = promisify(execFile);

/**
 * The C firmware on an emulated microcontroller. It goes on while nobody listens, as a board with its own supply does;
 * what it says then is lost.
 */
export class QemuDevice {
  readonly #child: ChildProcess;
  readonly #to: Socket;
  readonly #from: Socket;
  readonly #folder: string;
  #host: Transport | undefined;

  private constructor(child: ChildProcess, to: Socket, from: Socket, folder: string) {
    this.#child = child;
    this.#to = to;
    this.#from = from;
    this.#folder = folder;
    for (const line of [to, from]) line.on("error", () => {});
    from.on("data", (bytes: Buffer) => {
      this.#host?.write(bytes);
      from.pause();
      setTimeout(() => from.resume(), GATHER_MS);
    });
  }

  /** @throws Failure `bridge/open` with what QEMU says. */
  static async start(start: QemuStart): Promise<QemuDevice> {
    const folder = await mkdtemp(join(tmpdir(), "polaredge-qemu-"));
    const line = join(folder, LINE);
    await run("mkfifo", [`${line}.in`, `${line}.out`]);
    const to = openPipe(`${line}.in`, { readable: false, writable: true });
    const from = openPipe(`${line}.out`, { readable: true, writable: false });
    const child = spawn("setpriv", ["--pdeathsig", "KILL", "qemu-system-arm", ...argumentsOf(start, folder)], {
      stdio: ["pipe", "ignore", "pipe"],
    });
    let said = "";
    child.stderr?.on("data", (text: Buffer) => {
      said += text;
    });
    const awake = await new Promise<boolean>((resolve) => {
      from.once("readable", () => resolve(true));
      child.once("error", (error) => {
        said += error.message;
        resolve(false);
      });
      child.once("exit", () => resolve(false));
    });
    if (awake) return new QemuDevice(child, to, from, folder);
    to.destroy();
    from.destroy();
    await rm(folder, { recursive: true, force: true });
    throw new Failure("bridge/open", `QEMU does not start: ${said.trim()}`);
  }

  /** Plugs it in. Resolves with the reason when the line has ended. */
  serve(host: Transport): Promise<string> {
    this.#host = host;
    return new Promise((resolve) => {
      host.listen({
        data: (bytes) => void this.#to.write(bytes),
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

  /** Lets time go by and the room become warm. A zero, no word of the protocol, wakes a firmware that waits for one. */
  expose(exposure: Exposure): Promise<void> {
    const memory = probeMemory(join(this.#folder, PROBE));
    const write: typeof memory.write = async (address, words) => {
      await memory.write(address, words);
      this.#to.write(Uint8Array.of(0));
    };
    return expose({ ...memory, write }, exposure);
  }

  async stop(): Promise<void> {
    const gone = new Promise((resolve) => this.#child.once("exit", resolve));
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      this.#child.kill("SIGKILL");
      await gone;
    }
    this.#to.destroy();
    this.#from.destroy();
    await rm(this.#folder, { recursive: true, force: true });
  }
}

function argumentsOf({ board, line, firmware, ...straps }: QemuStart, folder: string): string[] {
  const loaders = strapWords(straps).flatMap((word, i) => [
    "-device",
    `loader,addr=0x${(STRAPS_ADDRESS + 4 * i).toString(16)},data=0x${word.toString(16)},data-len=4`,
  ]);
  const chardevs = [
    `pipe,id=${LINE},path=${join(folder, LINE)}`,
    `socket,id=${PROBE},path=${join(folder, PROBE)},server=on,wait=off`,
  ].flatMap((chardev) => ["-chardev", chardev]);
  const machine = ["-M", board, "-display", "none", "-monitor", "stdio", "-kernel", firmware];
  return [...machine, ...chardevs, ...lineArguments[line], "-gdb", `chardev:${PROBE}`, ...loaders];
}

const lineArguments: Readonly<Record<QemuBoard["line"], readonly string[]>> = {
  uart: ["-serial", `chardev:${LINE}`],
  semihosting: ["-serial", "none", "-semihosting-config", `enable=on,target=native,chardev=${LINE}`],
};

/** The file is open both ways, so that it waits for nobody and never ends. */
function openPipe(path: string, use: { readonly readable: boolean; readonly writable: boolean }): Socket {
  return new Socket({ fd: openSync(path, constants.O_RDWR | constants.O_NONBLOCK), ...use });
}
