import { type BlockRequest, encodeBlock } from "../../runtime/fleet/files/block.ts";
import type { Transfers } from "../../runtime/fleet/files/transfers.ts";

/** What becomes of an answer on its way: the payloads that arrive instead of it. */
export type Fate = (payload: Uint8Array, count: number) => readonly Uint8Array[];

/** Somebody who answers requests, without a broker between. Keeps the books of what was asked for. */
export class BlockLine {
  readonly requests: BlockRequest[] = [];
  readonly #transfers: Transfers;
  readonly #files: ReadonlyMap<string, Uint8Array>;
  readonly #fate: Fate;
  readonly #arriving: (() => void)[] = [];
  #delivering = false;
  #count = 0;

  constructor(transfers: Transfers, files: ReadonlyMap<string, Uint8Array>, fate: Fate = (payload) => [payload]) {
    this.#transfers = transfers;
    this.#files = files;
    this.#fate = fate;
  }

  connect(blockBytes = 1000): void {
    this.#transfers.use({ blockBytes, ask: (request) => this.#answer(request) });
  }

  /** Bytes that were asked for. */
  get asked(): number {
    return this.requests.reduce((sum, { len, n }) => sum + n * len, 0);
  }

  #answer(request: BlockRequest): void {
    this.requests.push(request);
    const { id, path, off, len, n } = request;
    const file = this.#files.get(path) ?? new Uint8Array();
    for (let i = 0, at = off; i < n && (i === 0 || at < file.length); i++, at += len) {
      const payload = encodeBlock({ total: file.length, off: at, data: file.subarray(at, at + len) });
      for (const arriving of this.#fate(payload, this.#count++)) {
        this.#arriving.push(() => this.#transfers.take(String(id), arriving));
      }
    }
    if (!this.#delivering) this.#deliver();
  }

  /** One packet a turn: what follows is still under way when the first is here. */
  #deliver(): void {
    const next = this.#arriving.shift();
    this.#delivering = next !== undefined;
    setImmediate(() => {
      next?.();
      if (next) this.#deliver();
    });
  }
}
