/** What happened, for people who were not there: one JSON object per line. Details never hold secrets. */
export interface Log {
  debug(message: string, detail?: Detail): void;
  info(message: string, detail?: Detail): void;
  warn(message: string, detail?: Detail): void;
  error(message: string, detail?: Detail): void;
}

export type Detail = Readonly<Record<string, unknown>>;
export const logLevels = ["silent", "error", "warn", "info", "debug"] as const;
export type LogLevel = (typeof logLevels)[number];

const nothing = (): void => undefined;
export const silentLog: Log = { debug: nothing, info: nothing, warn: nothing, error: nothing };

/** JSON lines on stdout, or to `write`. pino is loaded here, so that programs which do not log never pay for it. */
export async function openLog(level: LogLevel, write?: (line: string) => void): Promise<Log> {
  const { pino } = await import("pino");
  const target = write ? { write } : pino.destination({ fd: 1, sync: true });
  const logger = pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime }, target);
  const line =
    (at: Exclude<LogLevel, "silent">) =>
    (message: string, detail: Detail = {}): void =>
      logger[at](redacted(detail), message);
  return { debug: line("debug"), info: line("info"), warn: line("warn"), error: line("error") };
}

const SECRET = /pass(word|phrase)?$|secret|token|credential|private/i;
const DEPTH = 6;

/** A copy without secrets: what is named like one, and the user part of any URL. Cycles end at a fixed depth. */
export function redacted(detail: Detail): Detail {
  return hide(detail, DEPTH) as Detail;
}

function hide(value: unknown, depth: number): unknown {
  if (typeof value === "string") return value.replace(/(\w+:\/\/)[^\s/@]+@/g, "$1***@");
  if (value instanceof Error) return { name: value.name, message: hide(value.message, depth), ...codeOf(value) };
  if (typeof value !== "object" || value === null) return value;
  if (depth === 0) return "...";
  if (ArrayBuffer.isView(value)) return `${value.byteLength} bytes`;
  if (Array.isArray(value)) return value.map((item) => hide(item, depth - 1));
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [key, SECRET.test(key) ? "***" : hide(item, depth - 1)]),
  );
}

function codeOf(error: Error): Detail {
  return "code" in error ? { code: error.code } : {};
}
