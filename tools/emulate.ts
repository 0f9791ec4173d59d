import { rmSync, symlinkSync } from "node:fs";
import { createInterface } from "node:readline";
import { loadAcceleratorProfile } from "../device-profiles/profiles.ts";
import { EmulatedDevice } from "../firmware-bridge/emulator/device.ts";
import { serve } from "../firmware-bridge/emulator/serve.ts";
import { parseAge } from "../firmware-bridge/open.ts";
import { openPty, type Pty } from "../firmware-bridge/transport/pty.ts";
import { Failure, messageOf } from "../runtime/base/failure.ts";

export interface EmulateOptions {
  /** Name of a shipped accelerator profile, or a path. */
  readonly profile: string;
  readonly seed?: number;
  /** Age that a tile has as soon as it is programmed, such as "30d". */
  readonly age?: string;
  readonly temperature?: number;
  /** A symbolic link to the serial device, so that its path stays the same when it is plugged in again. */
  readonly link?: string;
  /** Ends it, besides SIGINT and SIGTERM. */
  readonly signal?: AbortSignal;
  readonly input?: NodeJS.ReadableStream;
  readonly output?: NodeJS.WritableStream & { readonly isTTY?: boolean };
}

const HELP = "commands: age 30d | temperature 45 | reset | unplug | plug | status | quit";

/**
 * `polaredge emulate`: an accelerator on a serial port that any program can open. Writes the port's path as the first
 * line, obeys the commands on stdin and resolves when it is told to end.
 * @throws Failure `profile/...`, `input/malformed`, or `bridge/open` where there are no pseudo terminals.
 */
export async function emulate(options: EmulateOptions): Promise<void> {
  const { input = process.stdin, output = process.stdout, seed = 1, age = "0", temperature, link, signal } = options;
  const device = new EmulatedDevice(await loadAcceleratorProfile(options.profile), {
    seed,
    ageSeconds: parseAge(age),
    ...(temperature === undefined ? {} : { temperatureC: temperature }),
    uptimeMs: () => performance.now(),
  });
  const port = new Port(device, link);
  const say = (line: string): void => void output.write(`${line}\n`);
  say(await port.plug());
  if (output.isTTY) say(HELP);
  const ticker = output.isTTY ? setInterval(() => output.write(`\r${counters(device)}\u001b[K`), 1000) : undefined;
  try {
    await told(input, signal, (line) => obey(line, device, port).then(say, (error) => say(messageOf(error))));
  } finally {
    clearInterval(ticker);
    await port.unplug();
  }
}

/** Passes on lines until "quit", a signal to the process, or `signal`. */
async function told(
  input: NodeJS.ReadableStream,
  signal: AbortSignal | undefined,
  obey: (line: string) => void,
): Promise<void> {
  const lines = createInterface({ input });
  const signals = ["SIGINT", "SIGTERM"];
  let end = (): void => {};
  await new Promise<void>((resolve) => {
    end = resolve;
    for (const name of signals) process.on(name, end);
    signal?.addEventListener("abort", end);
    lines.on("line", (line) => (line.trim() === "quit" ? end() : obey(line.trim())));
  });
  for (const name of signals) process.off(name, end);
  signal?.removeEventListener("abort", end);
  lines.close();
}

/** The socket that the device is plugged in. */
class Port {
  readonly #device: EmulatedDevice;
  readonly #link: string | undefined;
  #pty: Pty | undefined;

  constructor(device: EmulatedDevice, link: string | undefined) {
    this.#device = device;
    this.#link = link;
  }

  async plug(): Promise<string> {
    if (this.#pty) return `already at ${this.#pty.path}`;
    const pty = await openPty();
    this.#pty = pty;
    void serve(this.#device, pty.device);
    if (!this.#link) return pty.path;
    rmSync(this.#link, { force: true });
    symlinkSync(pty.path, this.#link);
    return this.#link;
  }

  async unplug(): Promise<void> {
    const pty = this.#pty;
    this.#pty = undefined;
    if (this.#link) rmSync(this.#link, { force: true });
    await pty?.unplug();
  }

  send(bytes: Uint8Array): void {
    this.#pty?.device.write(bytes);
  }
}

async function obey(line: string, device: EmulatedDevice, port: Port): Promise<string> {
  const [command = "", argument = ""] = line.split(/\s+/);
  switch (command) {
    case "age":
      device.chip.age(parseAge(argument));
      return `tiles are ${device.chip.environment.ageSeconds} s old`;
    case "temperature":
      device.chip.heat(numberOf(argument));
      return `${device.chip.environment.temperatureMc / 1000} C`;
    case "reset":
      port.send(device.restart());
      return "restarted";
    case "unplug":
      await port.unplug();
      return "unplugged";
    case "plug":
      return port.plug();
    case "status":
      return counters(device);
    default:
      return HELP;
  }
}

function counters(device: EmulatedDevice): string {
  const { tilesCommitted, products, saturated, temperatureMc, ageSeconds } = device.chip.status();
  const { frames, discarded } = device.counters;
  return [
    `${frames} frames, ${discarded} discarded`,
    `${tilesCommitted} tiles, ${ageSeconds} s old, ${temperatureMc / 1000} C`,
    `${products} products, ${saturated} conversions saturated`,
  ].join("; ");
}

function numberOf(text: string): number {
  const value = Number(text);
  if (text === "" || !Number.isFinite(value)) throw new Failure("input/malformed", `a number expected, got "${text}"`);
  return value;
}
