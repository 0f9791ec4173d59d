import { Failure, type FailureCode } from "../../runtime/base/failure.ts";
import { advice } from "./advice.ts";
import { EXIT, exitCodeOf } from "./exit.ts";
import { table } from "./table.ts";

interface Row {
  readonly code: FailureCode;
  readonly exit: number;
  readonly advice: string;
}

/** `polaredge exit-codes`: the one page about them. */
export function exitCodes(json: boolean): string {
  const rows: Row[] = (Object.entries(advice) as [FailureCode, string][]).map(([code, text]) => ({
    code,
    exit: exitCodeOf(new Failure(code, "")),
    advice: text,
  }));
  if (json) return JSON.stringify({ exit: EXIT, failures: rows }, undefined, 2);
  const columns = [{ title: "failure" }, { title: "exit", align: "right" }, { title: "what to do" }] as const;
  return [
    `${EXIT.ok}  done`,
    `${EXIT.failed}  asked for properly, but it failed: network, device, a gate that was not passed`,
    `${EXIT.badInput}  the command line or a file that it names is wrong; nothing was written`,
    "",
    "Every expected failure has a name, the same here, in logs, in jobs over MQTT and in the library:",
    "",
    table(
      columns,
      rows.map(({ code, exit, advice: text }) => [code, String(exit), text]),
    ),
  ].join("\n");
}
