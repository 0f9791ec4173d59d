import { userInfo } from "node:os";
import { join } from "node:path";
import { Failure } from "../../runtime/base/failure.ts";
import { canonical, sha256 } from "../../runtime/store/digest.ts";
import type { Files } from "../../runtime/store/files.ts";

/** One line of the log; `before` is the hash of the line before it, so that none can be changed, taken out or put in. */
export interface AuditEntry {
  readonly n: number;
  readonly ts: number;
  readonly by: string;
  readonly action: string;
  readonly detail: Readonly<Record<string, unknown>>;
  readonly before: string;
  readonly hash: string;
}

const FIRST = "0".repeat(64);

/** What operators did, in `audit.jsonl` of their folder. */
export class Audit {
  readonly #files: Files;
  readonly #path: string;

  constructor(files: Files, folder: string) {
    this.#files = files;
    this.#path = join(folder, "audit.jsonl");
  }

  async note(action: string, detail: Readonly<Record<string, unknown>>, nowMs: number): Promise<void> {
    const last = (await this.read()).at(-1);
    const entry = {
      n: (last?.n ?? 0) + 1,
      ts: nowMs,
      by: userInfo().username,
      action,
      detail,
      before: last?.hash ?? FIRST,
    };
    const line = JSON.stringify({ ...entry, hash: sha256(canonical(entry)) });
    await this.#files.append(this.#path, new TextEncoder().encode(`${line}\n`));
    await this.#files.sync(this.#path);
  }

  /** @throws Failure store/corrupt at the first line that does not belong where it is */
  async read(): Promise<readonly AuditEntry[]> {
    const text = new TextDecoder().decode(await this.#files.read(this.#path));
    const entries: AuditEntry[] = [];
    for (const line of text.split("\n").filter((found) => found !== "")) {
      const entry = parse(line);
      const before = entries.at(-1);
      const right = entry && entry.before === (before?.hash ?? FIRST) && entry.n === entries.length + 1;
      if (!right) throw new Failure("store/corrupt", `${this.#path}: line ${entries.length + 1} was changed`);
      entries.push(entry);
    }
    return entries;
  }
}

function parse(line: string): AuditEntry | undefined {
  try {
    const { hash, ...entry } = JSON.parse(line) as AuditEntry;
    return hash === sha256(canonical(entry)) ? { ...entry, hash } : undefined;
  } catch {
    return undefined;
  }
}
