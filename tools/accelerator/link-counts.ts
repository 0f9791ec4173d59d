import { helloReply } from "../../firmware-bridge/greeting.ts";
import { commandOf, commands } from "../../firmware-bridge/protocol/commands.ts";
import { Deframer, type Frame } from "../../firmware-bridge/protocol/frame.ts";
import type { Passage } from "../../firmware-bridge/transport/recording.ts";

interface Both {
  device: number;
  host: number;
}

export interface LinkCounts {
  readonly seconds: number;
  /** On the wire, towards each side. */
  readonly bytes: Both;
  /** Blocks that are no frame. */
  readonly discarded: Both;
  readonly repetitions: number;
  /** Greetings that nobody asked for. */
  readonly restarts: number;
  readonly commands: Readonly<Record<string, CommandCounts>>;
}

export interface CommandCounts {
  readonly requests: number;
  readonly refusals: number;
  /** From the last sending of a request to its answer; null if none was answered. */
  readonly medianMs: number | null;
  readonly p95Ms: number | null;
}

interface Open {
  readonly frame: Frame;
  ms: number;
}

/** What a recording holds. */
export function countLink(passages: readonly Passage[]): LinkCounts {
  const deframers = { device: new Deframer(), host: new Deframer() };
  const bytes: Both = { device: 0, host: 0 };
  const tally = new Tally();
  for (const { towards, ms, bytes: part } of passages) {
    bytes[towards] += part.length;
    for (const frame of deframers[towards].push(part)) tally[towards](frame, ms);
  }
  const damage = ({ counters: { malformed, crcErrors } }: Deframer): number => malformed + crcErrors;
  return {
    seconds: (passages.at(-1)?.ms ?? 0) / 1000,
    bytes,
    discarded: { device: damage(deframers.device), host: damage(deframers.host) },
    ...tally.counts,
  };
}

class Tally {
  readonly #open = new Map<number, Open>();
  readonly #times = new Map<string, number[]>();
  readonly #requests = new Map<string, number>();
  readonly #refusals = new Map<string, number>();
  #repetitions = 0;
  #restarts = 0;

  get counts(): Pick<LinkCounts, "repetitions" | "restarts" | "commands"> {
    const each = [...this.#requests].map(([name, requests]): [string, CommandCounts] => {
      const times = (this.#times.get(name) ?? []).sort((a, b) => a - b);
      const at = (share: number): number | null => times[Math.floor(share * (times.length - 1))] ?? null;
      return [name, { requests, refusals: this.#refusals.get(name) ?? 0, medianMs: at(0.5), p95Ms: at(0.95) }];
    });
    return { repetitions: this.#repetitions, restarts: this.#restarts, commands: Object.fromEntries(each) };
  }

  /** A request on its way to the device. */
  device(frame: Frame, ms: number): void {
    const open = this.#open.get(frame.sequence);
    if (open && open.frame.command === frame.command && Buffer.compare(open.frame.payload, frame.payload) === 0) {
      this.#repetitions++;
      open.ms = ms;
      return;
    }
    this.#open.set(frame.sequence, { frame, ms });
    add(this.#requests, nameOf(frame));
  }

  /** An answer on its way to the host. */
  host(frame: Frame, ms: number): void {
    if (frame.command === commands.hello.id && helloReply(frame)?.nonce === 0) {
      this.#restarts++;
      return;
    }
    const open = this.#open.get(frame.sequence);
    if (open?.frame.command !== frame.command) return;
    this.#open.delete(frame.sequence);
    this.#times.set(nameOf(frame), [...(this.#times.get(nameOf(frame)) ?? []), ms - open.ms]);
    if (frame.kind === "refusal") add(this.#refusals, nameOf(frame));
  }
}

function nameOf({ command }: Frame): string {
  return commandOf(command) ?? `0x${command.toString(16).padStart(2, "0")}`;
}

function add(counts: Map<string, number>, name: string): void {
  counts.set(name, (counts.get(name) ?? 0) + 1);
}
