import colors from "picocolors";
import { isFailure, messageOf } from "../../runtime/base/failure.ts";
import { advice } from "./advice.ts";

/** What the command line answers to the shell. */
export const EXIT = {
  ok: 0,
  /** It was asked for properly and did not succeed: network, device, a gate that was not passed. */
  failed: 1,
  /** The command line or a file that it names is wrong; nothing was written. */
  badInput: 2,
} as const;

/** Areas of failure codes whose cause is what the user gave. */
const inputAreas = new Set(["input", "import", "model", "profile", "config", "bytes", "plan", "calibration"]);

export function exitCodeOf(error: unknown): number {
  if (!isFailure(error)) return EXIT.failed;
  return inputAreas.has(error.code.split("/")[0]) ? EXIT.badInput : EXIT.failed;
}

/** For a person on standard error: what went wrong and what to do. What nobody expected comes with its stack. */
export function explain(error: unknown): string {
  if (isFailure(error)) {
    const { message, code } = error;
    return `${colors.red("error")} ${message} ${colors.dim(`[${code}]`)}\n${colors.dim(`-> ${advice[code]}`)}`;
  }
  const stack = error instanceof Error ? error.stack : undefined;
  return `${colors.red("unexpected error")} ${stack ?? messageOf(error)}`;
}
