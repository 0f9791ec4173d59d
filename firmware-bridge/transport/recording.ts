import { Failure } from "../../runtime/base/failure.ts";
import type { Transport } from "./transport.ts";

/** Bytes that came together, and when. */
export interface Passage {
  /** Since the recording began. */
  readonly ms: number;
  readonly towards: "device" | "host";
  readonly bytes: Uint8Array;
}

/** The host's end of a line, and what passes it. `write` gets each passage. */
export function recorded(line: Transport, nowMs: () => number, write: (passage: Passage) => void): Transport {
  const note = (towards: Passage["towards"], bytes: Uint8Array): void =>
    write({ ms: nowMs(), towards, bytes: Uint8Array.from(bytes) });
  return {
    name: line.name,
    listen: ({ data, closed }) =>
      line.listen({
        data(bytes) {
          note("host", bytes);
          data(bytes);
        },
        closed,
      }),
    write(bytes) {
      note("device", bytes);
      line.write(bytes);
    },
    close: () => line.close(),
  };
}

/** A line of JSON for each passage: [ms, "device" or "host", bytes in hexadecimal digits]. */
export function passageLine({ ms, towards, bytes }: Passage): string {
  return `${JSON.stringify([Number(ms.toFixed(3)), towards, Buffer.from(bytes).toString("hex")])}\n`;
}

/** A last line that was cut off is left out. @throws Failure `input/malformed` */
export function parseRecording(text: string): Passage[] {
  return text
    .slice(0, text.lastIndexOf("\n") + 1)
    .split("\n")
    .filter((line) => line !== "")
    .map((line, i) => {
      const [, ms, towards, hex] = /^\[(\d+(?:\.\d+)?),"(device|host)","((?:[0-9a-f]{2})*)"\]$/.exec(line) ?? [];
      if (hex === undefined) throw new Failure("input/malformed", `line ${i + 1} of the recording is not a passage`);
      return {
        ms: Number(ms),
        towards: towards as Passage["towards"],
        bytes: Uint8Array.from(Buffer.from(hex, "hex")),
      };
    });
}
