import { randomInt } from "node:crypto";
import { Failure, isFailure, messageOf } from "../../base/failure.ts";
import type { Part } from "../../store/blobs.ts";
import type { FetchSmall } from "../../trust/trust.ts";
import { decodeBlock } from "./block.ts";
import type { DownloadOptions } from "./download.ts";
import { type Line, type Sink, Transfer, type TransferOptions } from "./transfer.ts";

/**
 * Files of the repository over the broker, for devices that reach nothing else. The device asks for blocks, and for
 * more only when those before are on its disk: so one window at most is under way, and after a power cut no more than
 * that is sent again. Who answers (`polaredge fleet artifacts`) is believed nothing: digests and signatures decide, as
 * over HTTPS.
 */
export class Transfers {
  readonly #running = new Map<number, Transfer>();
  #line: Line | undefined;

  get connected(): boolean {
    return this.#line !== undefined;
  }

  /** A new connection, or the end of one. What is under way goes on with the next. */
  use(line: Line | undefined): void {
    this.#line = line;
    for (const transfer of this.#running.values()) transfer.use(line);
  }

  /** A message on `xfer/rsp/<id>`. */
  take(id: string, payload: Uint8Array): void {
    const block = decodeBlock(payload);
    if (block) this.#running.get(Number(id))?.take(block);
  }

  /** From where an earlier attempt ended. @throws Failure download/failed, download/digest-mismatch */
  async fetch(part: Part, options: TransferOptions & Pick<DownloadOptions, "onProgress">): Promise<void> {
    const { sha256, bytes } = part.ref;
    const sink: Sink = {
      get length() {
        return part.length;
      },
      limit: bytes,
      accept(total) {
        if (total === bytes) return;
        throw new Failure("download/failed", `mqtt:blobs/${sha256}: expected ${bytes} bytes, ${total} are offered`);
      },
      async append(data) {
        await part.append(data);
        await part.sync();
        options.onProgress?.(part.length, bytes);
      },
    };
    if (part.length < bytes) await this.#run(`blobs/${sha256}`, sink, options);
    await part.finish();
  }

  /** Reads small files, whole and into memory. */
  small(options: Omit<TransferOptions, "signal">): FetchSmall {
    return async (path, maxBytes, signal) => {
      const sink = new SmallSink(path, maxBytes);
      try {
        await this.#run(path, sink, { ...options, signal });
      } catch (error) {
        if (!isFailure(error, "download/failed")) throw error;
        throw new Failure("trust/unreachable", messageOf(error), { path }, error);
      }
      return sink.length > 0 ? sink.data : undefined;
    };
  }

  async #run(path: string, sink: Sink, options: TransferOptions): Promise<void> {
    const transfer = new Transfer(randomInt(2 ** 32), path, sink, options);
    this.#running.set(transfer.id, transfer);
    transfer.use(this.#line);
    try {
      await transfer.run();
    } finally {
      this.#running.delete(transfer.id);
    }
  }
}

class SmallSink implements Sink {
  readonly limit: number;
  readonly #path: string;
  data: Uint8Array = new Uint8Array();

  constructor(path: string, maxBytes: number) {
    this.#path = path;
    this.limit = maxBytes;
  }

  get length(): number {
    return this.data.length;
  }

  accept(total: number): void {
    if (total <= this.limit) return;
    const message = `mqtt:${this.#path}: expected at most ${this.limit} bytes, found ${total}`;
    throw new Failure("trust/too-large", message);
  }

  async append(data: Uint8Array): Promise<void> {
    this.data = Uint8Array.from(Buffer.concat([this.data, data]));
  }
}
