import { createInterface } from "node:readline";
import { loadAcceleratorProfile } from "../../device-profiles/profiles.ts";
import { parseAge } from "../../firmware-bridge/open.ts";
import { Failure, messageOf } from "../../runtime/base/failure.ts";
import { Port } from "./port.ts";
import { type Backend, type Specimen, startSpecimen } from "./specimens.ts";

export interface EmulateOptions {
  /** Name of a shipped accelerator profile, or a path. */
  readonly profile: string;
  /** Default: typescript. */
  readonly backend?: Backend;
  readonly seed?: number;
  /** Age that a tile has as soon as it is programmed, such as "30d". */
  readonly age?: string;
  readonly temperature?: number;
  /** A symbolic link to the serial device, so that its path stays the same when it is plugged in again. */
  readonly link?: string;
  /** Each line that is written is a JSON object. */
  readonly json?: boolean;
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
  const specimen = await startSpecimen(options.backend ?? "typescript", await loadAcceleratorProfile(options.profile), {
    seed,
    ageSeconds: parseAge(age),
    temperatureC: temperature,
  });
  const port = new Port(specimen, link);
  const say = (line: string): void => void output.write(`${line}\n`);
  const tell = (told: Readonly<Record<string, string>>): void =>
    say(options.json ? JSON.stringify(told) : (told.path ?? told.answer ?? told.error));
  let ticker: NodeJS.Timeout | undefined;
  try {
    tell({ path: await port.plug() });
    if (output.isTTY && !options.json) {
      say(HELP);
      ticker = setInterval(() => output.write(`\r${specimen.status()}\u001b[K`), 1000);
    }
    await told(input, signal, (command) =>
      obey(command, specimen, port).then(
        (answer) => tell({ command, answer }),
        (error) => tell({ command, error: messageOf(error) }),
      ),
    );
  } finally {
    clearInterval(ticker);
    await port.unplug();
    await specimen.stop();
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

async function obey(line: string, specimen: Specimen, port: Port): Promise<string> {
  const [command = "", argument = ""] = line.split(/\s+/);
  switch (command) {
    case "age":
      return specimen.age(parseAge(argument));
    case "temperature":
      return specimen.heat(numberOf(argument));
    case "reset":
      specimen.reset();
      return "restarted";
    case "unplug":
      await port.unplug();
      return "unplugged";
    case "plug":
      return port.plug();
    case "status":
      return specimen.status();
    default:
      return HELP;
  }
}

function numberOf(text: string): number {
  const value = Number(text);
  if (text === "" || !Number.isFinite(value)) throw new Failure("input/malformed", `a number expected, got "${text}"`);
  return value;
}
