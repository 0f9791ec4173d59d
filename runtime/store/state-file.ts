import { join } from "node:path";
import { canonical, sha256 } from "./digest.ts";
import { type Files, replace } from "./files.ts";

interface Sealed {
  readonly sequence: number;
  readonly digest: string;
  readonly body: unknown;
}

/**
 * One JSON value, kept in two files that take turns. Each save goes to the older one, so a file that a worn-out card
 * garbles costs one step back at most, and the sequence tells which is newer.
 */
export class StateFile {
  readonly #files: Files;
  readonly #paths: readonly [string, string];
  #sequence = 0;

  /** @param name of the files: `<name>.a.json` and `<name>.b.json` */
  constructor(files: Files, folder: string, name: string) {
    this.#files = files;
    this.#paths = [join(folder, `${name}.a.json`), join(folder, `${name}.b.json`)];
  }

  get sequence(): number {
    return this.#sequence;
  }

  /** The newest value whose digest is right; `undefined` on a new device. */
  async load(): Promise<unknown> {
    const found = await Promise.all(this.#paths.map((path) => this.#read(path)));
    const newest = found.reduce((a, b) => ((b?.sequence ?? -1) > (a?.sequence ?? -1) ? b : a));
    this.#sequence = newest?.sequence ?? 0;
    return newest?.body;
  }

  /** Durable when it returns. A save that fails leaves the value before it. */
  async save(body: unknown): Promise<void> {
    const sequence = this.#sequence + 1;
    const sealed: Sealed = { sequence, digest: digestOf(sequence, body), body };
    await replace(
      this.#files,
      this.#paths[sequence % 2 === 0 ? 0 : 1],
      new TextEncoder().encode(JSON.stringify(sealed)),
    );
    this.#sequence = sequence;
  }

  async #read(path: string): Promise<Sealed | undefined> {
    const data = await this.#files.read(path);
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
