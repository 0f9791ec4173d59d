import type { Clock } from "../../runtime/base/clock.ts";
import { uniform } from "../../runtime/base/random.ts";
import type { Transport, TransportListener } from "./transport.ts";

/** What goes wrong on a line, per write or per byte, as probabilities. */
export interface LineFaults {
  readonly seed: number;
  /** A byte has one bit flipped. */
  readonly byteErrors?: number;
  /** A write is lost, or arrives twice, or arrives in two pieces. */
  readonly drops?: number;
  readonly duplicates?: number;
  readonly splits?: number;
  /** A write is overtaken by the next one. */
  readonly reorders?: number;
  /** Every byte arrives by itself. */
  readonly shreds?: boolean;
}

/** How fast a line is: ten bits a byte, each way. */
export interface LineSpeed {
  readonly baudRate: number;
  readonly clock: Clock;
}

/**
 * Two ends of a line in one process: what one end writes the other one reads, a turn of the event loop later, or as
 * late as the line's speed has it.
 */
export function pair(faults: LineFaults = { seed: 0 }, name = "pair", speed?: LineSpeed): [Transport, Transport] {
  const left = new End(name, damager(faults), speed);
  const right = new End(name, damager({ ...faults, seed: faults.seed + 1 }), speed);
  left.peer = right;
  right.peer = left;
  return [left, right];
}

type Damage = (bytes: Uint8Array) => Uint8Array[];

class End implements Transport {
  readonly name: string;
  peer: End | undefined;
  readonly #damage: Damage;
  readonly #speed: LineSpeed | undefined;
  /** When all that was written is out. */
  #freeMs = 0;
  #listener: TransportListener | undefined;
  #early: Uint8Array[] = [];

  constructor(name: string, damage: Damage, speed: LineSpeed | undefined) {
    this.name = name;
    this.#damage = damage;
    this.#speed = speed;
  }

  listen(listener: TransportListener): void {
    this.#listener = listener;
    for (const bytes of this.#early) setImmediate(() => this.#receive(bytes));
    this.#early = [];
  }

  write(bytes: Uint8Array): void {
    const { peer } = this;
    for (const part of this.#damage(bytes)) if (peer) this.#carry(bytes.length, () => peer.#receive(part));
  }

  /** A write that is lost on the way takes the time that it takes. */
  #carry(length: number, deliver: () => void): void {
    if (!this.#speed) {
      setImmediate(deliver);
      return;
    }
    const { baudRate, clock } = this.#speed;
    const now = clock.uptimeMs();
    this.#freeMs = Math.max(this.#freeMs, now) + (length * 10_000) / baudRate;
    clock.sleep(this.#freeMs - now).then(deliver, () => {});
  }

  async close(): Promise<void> {
    const { peer } = this;
    this.#end("closed");
    if (peer) peer.#end("closed by the other side");
  }

  #receive(bytes: Uint8Array): void {
    if (!this.peer) return;
    if (this.#listener) this.#listener.data(bytes);
    else this.#early.push(bytes);
  }

  #end(reason: string): void {
    if (!this.peer) return;
    this.peer = undefined;
    this.#listener?.closed(reason);
  }
}

function damager({
  seed,
  byteErrors = 0,
  drops = 0,
  duplicates = 0,
  splits = 0,
  reorders = 0,
  shreds = false,
}: LineFaults): Damage {
  if (byteErrors + drops + duplicates + splits + reorders === 0 && !shreds) return (bytes) => [bytes.slice()];
  const next = uniform(seed);
  let late: Uint8Array[] = [];
  return (bytes) => {
    if (next() < drops) return [];
    const noisy = bytes.map((byte) => (next() < byteErrors ? byte ^ (1 << Math.floor(8 * next())) : byte));
    const cut = next() < splits ? Math.floor(noisy.length * next()) : 0;
    const whole = [noisy.subarray(0, cut), noisy.subarray(cut)].filter(({ length }) => length > 0);
    const parts = shreds ? Array.from(noisy, (byte) => Uint8Array.of(byte)) : whole;
    if (late.length === 0 && next() < reorders) {
      late = parts;
      return [];
    }
    const overtaken = late;
    late = [];
    return [...(next() < duplicates ? [...parts, ...parts] : parts), ...overtaken];
  };
}
