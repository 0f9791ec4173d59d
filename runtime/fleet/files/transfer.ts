import type { Clock } from "../../base/clock.ts";
import { Failure } from "../../base/failure.ts";
import { type Block, type BlockRequest, MAX_BLOCK_BYTES, WINDOW_BLOCKS } from "./block.ts";
import { Pacer } from "./pacer.ts";

/** A connection to the broker, as transfers use it. */
export interface Line {
  ask(request: BlockRequest): void;
  /** What fits into a packet. */
  readonly blockBytes: number;
}

/** Where a file's bytes go, in order. */
export interface Sink {
  readonly length: number;
  /** The file has no more bytes than that. */
  readonly limit: number;
  /** The size that is offered; 0 for no such file. @throws Failure where it is not the right one */
  accept(total: number): void;
  /** Resolves when a power cut can't take them any more. */
  append(data: Uint8Array): Promise<void>;
}

export interface TransferOptions {
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly tries?: number | undefined;
  readonly stallMs?: number | undefined;
  readonly maxKBps?: number | undefined;
}

const TRIES = 5;
/** Without a block for so long, what is missing is asked for again. */
const STALL_MS = 2_000;

/** One file on its way: a window of blocks, written in order. */
export class Transfer {
  readonly id: number;
  readonly #path: string;
  readonly #sink: Sink;
  readonly #options: TransferOptions;
  readonly #pacer: Pacer;
  /** Blocks that are here, but not yet on the disk. */
  readonly #here = new Map<number, Uint8Array>();
  #line: Line | undefined;
  #total: number | undefined;
  #blockBytes = MAX_BLOCK_BYTES;
  /** First byte that was not asked for yet. */
  #asked: number;
  #wake: () => void = () => undefined;

  constructor(id: number, path: string, sink: Sink, options: TransferOptions) {
    this.id = id;
    this.#path = path;
    this.#sink = sink;
    this.#options = options;
    this.#pacer = new Pacer(options.clock, options.maxKBps);
    this.#asked = sink.length;
  }

  /** What the connection before had under way, does not come any more. */
  use(line: Line | undefined): void {
    this.#line = line;
    this.#blockBytes = line?.blockBytes ?? this.#blockBytes;
    this.#here.clear();
    this.#asked = this.#sink.length;
    this.#wake();
  }

  /** Only what was asked for, once, and of the size that it must have. */
  take({ total, off, data }: Block): void {
    const due = off >= this.#sink.length && off < this.#asked && !this.#here.has(off);
    const fits = data.length === Math.min(this.#blockBytes, Math.max(0, total - off));
    if (!due || !fits || (this.#total !== undefined && total !== this.#total)) return;
    this.#total = total;
    this.#here.set(off, Uint8Array.from(data));
    this.#wake();
  }

  /** @throws Failure download/failed, or the signal's reason */
  async run(): Promise<void> {
    const { signal } = this.#options;
    const stop = (): void => this.#wake();
    signal.addEventListener("abort", stop);
    try {
      await this.#receive(signal);
    } finally {
      signal.removeEventListener("abort", stop);
    }
  }

  async #receive(signal: AbortSignal): Promise<void> {
    const { tries = TRIES } = this.#options;
    for (let failures = 0; this.#sink.length < (this.#total ?? Number.POSITIVE_INFINITY); ) {
      signal.throwIfAborted();
      const line = this.#line;
      if (line) await this.#ask(line);
      const stirs = this.#here.has(this.#sink.length) || (await this.#arrival());
      if (await this.#store()) failures = 0;
      else if (!stirs && line && line === this.#line && !signal.aborted) {
        if (++failures >= tries) throw this.#unanswered();
        this.#asked = this.#sink.length;
      }
    }
  }

  /** For as many blocks as the window has room for; not again for those that are here. */
  async #ask(line: Line): Promise<void> {
    const len = this.#blockBytes;
    const { length, limit } = this.#sink;
    const end = Math.min(length + WINDOW_BLOCKS * len, this.#total ?? limit);
    while (this.#asked < end && line === this.#line) {
      const off = this.#asked;
      let n = 0;
      while (off + n * len < end && !this.#here.has(off + n * len)) n++;
      this.#asked += Math.max(1, n) * len;
      if (n === 0) continue;
      await this.#pacer.take(Math.min(n * len, limit - off), this.#options.signal);
      line.ask({ id: this.id, path: this.#path, off, len, n });
    }
  }

  /** Writes the blocks that are next in order. Whether there were any. */
  async #store(): Promise<boolean> {
    if (this.#total !== undefined) this.#sink.accept(this.#total);
    const ready: Uint8Array[] = [];
    let end = this.#sink.length;
    for (let block = this.#here.get(end); block; block = this.#here.get(end)) {
      this.#here.delete(end);
      ready.push(block);
      end += block.length;
    }
    if (end > this.#sink.length) await this.#sink.append(Buffer.concat(ready));
    return ready.length > 0;
  }

  /** The next block, in order or not, or connection: true. Nothing for a while: false. */
  async #arrival(): Promise<boolean> {
    const { clock, signal, stallMs = STALL_MS } = this.#options;
    if (signal.aborted) return true;
    const over = new AbortController();
    this.#wake = () => over.abort();
    await clock.sleep(stallMs, over.signal).catch(() => undefined);
    return over.signal.aborted;
  }

  #unanswered(): Failure {
    const message = `mqtt:${this.#path}: nobody at the broker answers; ${this.#sink.length} bytes are here`;
    return new Failure("download/failed", message, { path: this.#path });
  }
}
