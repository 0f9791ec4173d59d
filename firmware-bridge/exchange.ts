import { type Frame, wireBytes } from "./protocol/frame.ts";

/** What a device can take at a time. */
export interface Credits {
  /** Requests without an answer; one at least. */
  readonly window: number;
  /** Their bytes on the wire. */
  readonly bufferBytes: number;
}

/** Half of the sequence numbers: so the device can tell old from new. */
const MAX_WINDOW = 127;

/**
 * How often and how long a request is repeated. The time-out follows RFC 6298: SRTT + 4 RTTVAR. Its least value is above
 * the pauses of a busy host: with 20 ms, 8 % of the requests were repeated for nothing on two loaded cores. Losses in
 * the middle of a stream do not wait for it (see `receive`), and a repetition of what is proven to be lost waits for the
 * much shorter `provenMs`: until it comes through, the window stands still. It grows to fourfold only: a serial line is
 * not congested. Every answer starts it anew (5.3), and once it has expired it stays as long as it is until a round trip
 * is measured (5.5): or a device that has become slow is sent everything twice, which makes it slower still.
 */
export const TIMER = {
  firstMs: 500,
  minMs: 100,
  provenMs: 10,
  maxMs: 2000,
  tries: 5,
  giveUpMs: 4000,
  hopelessMs: 30_000,
} as const;
const MOST_DOUBLINGS = 2;

export interface ExchangeCounters {
  sent: number;
  retransmits: number;
  /** Answers that nobody waited for any more. */
  duplicates: number;
}
export const noRequests: Readonly<ExchangeCounters> = { sent: 0, retransmits: 0, duplicates: 0 };

interface Pending<T> {
  readonly ticket: T;
  readonly sequence: number;
  readonly command: number;
  readonly payload: Uint8Array;
  readonly firstSentMs: number;
  sentMs: number;
  /** Position in the order of all sendings. */
  order: number;
  tries: number;
  /** An answer to a later request has shown that it was lost. */
  proven: boolean;
}

/**
 * The host's half of the window, without clock, line or promises: time is passed in, frames to send and requests that
 * are settled come out. `T` is whatever the owner wants back with the answer.
 *
 * The line keeps the order and the device answers in it, so an answer to a request proves that whatever was sent
 * before it and has none is lost; that is repeated at once. Everything else is left to the timer.
 */
export class Exchange<T> {
  readonly counters: ExchangeCounters;
  readonly #credits: Credits;
  readonly #pending = new Map<number, Pending<T>>();
  #queue: { ticket: T; command: number; payload: Uint8Array }[] = [];
  #next = 0;
  #order = 0;
  #heardMs = 0;
  /** How often the timer was doubled since the last measured round trip. */
  #doublings = 0;
  #smoothMs: number | undefined;
  #varianceMs = 0;

  /** Adds to `counters`, so that they can outlive the exchange. */
  constructor(credits: Credits, counters: ExchangeCounters = { ...noRequests }) {
    this.#credits = credits;
    this.counters = counters;
  }

  /** Smoothed round trip, ms; undefined before the first answer. */
  get roundTripMs(): number | undefined {
    return this.#smoothMs;
  }

  get idle(): boolean {
    return this.#pending.size === 0 && this.#queue.length === 0;
  }

  /** Queues a request and returns what may be sent now. */
  submit(ticket: T, command: number, payload: Uint8Array, nowMs: number): Frame[] {
    this.#queue.push({ ticket, command, payload });
    return this.#release(nowMs);
  }

  /** An answer: whose it is, if anybody waits for it, and what may be sent now. */
  receive({ sequence, command }: Frame, nowMs: number): { ticket: T | undefined; send: Frame[] } {
    this.#heardMs = nowMs;
    const answered = this.#pending.get(sequence);
    if (answered?.command !== command) {
      this.counters.duplicates++;
      return { ticket: undefined, send: [] };
    }
    this.#pending.delete(sequence);
    const lost: Pending<T>[] = [];
    if (answered.tries === 1) {
      this.#measure(nowMs - answered.sentMs);
      for (const other of this.#pending.values()) if (other.order < answered.order) lost.push(other);
      for (const other of lost) other.proven = true;
    }
    return {
      ticket: answered.ticket,
      send: [...lost.map((other) => this.#repeat(other, nowMs)), ...this.#release(nowMs)],
    };
  }

  /**
   * Repeats what waited too long. `lost` when a request had all its tries: then there is no device any more. As long
   * as others are answered there is one, behind a bad line, and tries go on for a while.
   */
  expire(nowMs: number): { lost: boolean; send: Frame[] } {
    const late = [...this.#pending.values()].filter((request) => this.#deadline(request) <= nowMs);
    const lost = late.some(({ tries, firstSentMs }) => {
      const silentMs = nowMs - Math.max(firstSentMs, this.#heardMs);
      return tries >= TIMER.tries && (silentMs >= TIMER.giveUpMs || nowMs - firstSentMs >= TIMER.hopelessMs);
    });
    if (late.some(({ proven }) => !proven)) this.#doublings = Math.min(this.#doublings + 1, MOST_DOUBLINGS);
    return { lost, send: lost ? [] : late.map((request) => this.#repeat(request, nowMs)) };
  }

  /** When `expire` has something to do; Infinity if nothing waits. */
  get deadlineMs(): number {
    let first = Number.POSITIVE_INFINITY;
    for (const request of this.#pending.values()) first = Math.min(first, this.#deadline(request));
    return first;
  }

  /** Forgets everything and starts a new numbering. Returns the tickets that get no answer. */
  clear(): T[] {
    const tickets = [...this.#pending.values(), ...this.#queue].map(({ ticket }) => ticket);
    this.#pending.clear();
    this.#queue = [];
    this.#next = 0;
    return tickets;
  }

  #release(nowMs: number): Frame[] {
    const frames: Frame[] = [];
    while (this.#queue.length > 0 && this.#fits(this.#queue[0].payload)) {
      const { ticket, command, payload } = this.#queue[0];
      this.#queue.shift();
      const sequence = this.#next;
      this.#next = (sequence + 1) & 0xff;
      const times = { firstSentMs: nowMs, sentMs: nowMs, order: this.#order++, tries: 1, proven: false };
      this.#pending.set(sequence, { ticket, sequence, command, payload, ...times });
      this.counters.sent++;
      frames.push(this.#frame(sequence, command, payload));
    }
    return frames;
  }

  #fits(payload: Uint8Array): boolean {
    if (this.#pending.size === 0) return true;
    if (((this.#next - this.#oldest()) & 0xff) >= Math.min(this.#credits.window, MAX_WINDOW)) return false;
    let bytes = wireBytes(payload.length);
    for (const request of this.#pending.values()) bytes += wireBytes(request.payload.length);
    return bytes <= this.#credits.bufferBytes;
  }

  /** Requests are numbered and kept in order, so the first one is the oldest. */
  #oldest(): number {
    for (const sequence of this.#pending.keys()) return sequence;
    return this.#next;
  }

  #repeat(request: Pending<T>, nowMs: number): Frame {
    request.sentMs = nowMs;
    request.order = this.#order++;
    request.tries++;
    this.counters.retransmits++;
    return this.#frame(request.sequence, request.command, request.payload);
  }

  #frame(sequence: number, command: number, payload: Uint8Array): Frame {
    return { kind: "request", command, sequence, ack: this.#oldest(), payload };
  }

  #deadline({ sentMs, tries, proven }: Pending<T>): number {
    const base = this.#smoothMs === undefined ? TIMER.firstMs : this.#smoothMs + 4 * this.#varianceMs;
    const leastMs = proven ? TIMER.provenMs : TIMER.minMs;
    const doublings = proven ? Math.min(tries - 2, MOST_DOUBLINGS) : this.#doublings;
    const sinceMs = proven ? sentMs : Math.max(sentMs, this.#heardMs);
    return sinceMs + Math.min(Math.max(base, leastMs) * 2 ** doublings, TIMER.maxMs);
  }

  /** RFC 6298 section 2, with alpha = 1/8 and beta = 1/4. Repeated requests are not measured (Karn). */
  #measure(ms: number): void {
    this.#doublings = 0;
    if (this.#smoothMs === undefined) {
      this.#smoothMs = ms;
      this.#varianceMs = ms / 2;
      return;
    }
    this.#varianceMs += (Math.abs(this.#smoothMs - ms) - this.#varianceMs) / 4;
    this.#smoothMs += (ms - this.#smoothMs) / 8;
  }
}
