import { join } from "node:path";
import { canonical, sha256 } from "./digest.ts";
import { type Files, replace } from "./files.ts";

interface Sealed {
  readonly sequence: number;
  readonly digest: string;
  readonly body: unknown;
}

const names = ["state.a.json", "state.b.json"] as const;

/**
 * One JSON value, kept in two files that take turns. Each save goes to the older one, so a file that a worn-out card
 * garbles costs one step back at most, and the sequence tells which is newer.
 */
export class StateFile {
  readonly #files: Files;
  readonly #folder: string;
  #sequence = 0;

  constructor(files: Files, folder: string) {
    this.#files = files;
    this.#folder = folder;
  }

  get sequence(): number {
    return this.#sequence;
  }

  /** The newest value whose digest is right; `undefined` on a new device. */
  async load(): Promise<unknown> {
    const found = await Promise.all(names.map((name) => this.#read(name)));
    const newest = found.reduce((a, b) => ((b?.sequence ?? -1) > (a?.sequence ?? -1) ? b : a));
    this.#sequence = newest?.sequence ?? 0;
    return newest?.body;
  }

  /** Durable when it returns. A save that fails leaves the value before it. */
  async save(body: unknown): Promise<void> {
    const sequence = this.#sequence + 1;
    const sealed: Sealed = { sequence, digest: digestOf(sequence, body), body };
    const path = join(this.#folder, names[sequence % 2] ?? names[0]);
    await replace(this.#files, path, new TextEncoder().encode(JSON.stringify(sealed)));
    this.#sequence = sequence;
  }

  async #read(name: string): Promise<Sealed | undefined> {
    const data = await this.#files.read(join(this.#folder, name));
    if (!data) return undefined;
    try {
      const sealed = JSON.parse(new TextDecoder().decode(data)) as Sealed;
      return sealed.digest === digestOf(sealed.sequence, sealed.body) ? sealed : undefined;
    } catch {
      return undefined;
    }
  }
}

function digestOf(sequence: number, body: unknown): string {
  return sha256(canonical([sequence, body]));
}
