import { join } from "node:path";
import type { Files } from "./files.ts";

/** Two files of that size at most. */
const MAX_BYTES = 256 * 1024;

/**
 * What became of the device's jobs, for whoever looks at its disk afterwards: `journal.jsonl`, and the one before it in
 * `journal.1.jsonl`. Nothing depends on it, so it is not synced: a power cut may cost the last lines.
 */
export class Journal {
  readonly #files: Files;
  readonly #path: string;
  readonly #before: string;
  #bytes: number | undefined;
  #last: Promise<void> = Promise.resolve();

  constructor(files: Files, folder: string) {
    this.#files = files;
    this.#path = join(folder, "journal.jsonl");
    this.#before = join(folder, "journal.1.jsonl");
  }

  /** @throws errors of the disk */
  note(entry: Readonly<Record<string, unknown>>): Promise<void> {
    const line = new TextEncoder().encode(`${JSON.stringify(entry)}\n`);
    const done = this.#last.then(() => this.#append(line));
    this.#last = done.catch(() => undefined);
    return done;
  }

  /** All lines that are whole, the oldest first. */
  async read(): Promise<readonly unknown[]> {
    const files = await Promise.all([this.#before, this.#path].map((path) => this.#files.read(path)));
    return files.flatMap((data) => new TextDecoder().decode(data).split("\n").flatMap(parsed));
  }

  async #append(line: Uint8Array): Promise<void> {
    this.#bytes ??= (await this.#files.size(this.#path)) ?? 0;
    if (this.#bytes > 0 && this.#bytes + line.length > MAX_BYTES) {
      await this.#files.rename(this.#path, this.#before);
      this.#bytes = 0;
    }
    await this.#files.append(this.#path, line);
    this.#bytes += line.length;
  }
}

function parsed(line: string): unknown[] {
  try {
    return line === "" ? [] : [JSON.parse(line)];
  } catch {
    return [];
  }
}
