import { userInfo } from "node:os";
import { join } from "node:path";
import { Failure } from "../../runtime/base/failure.ts";
import { canonical, sha256 } from "../../runtime/store/digest.ts";
import { type Files, replace } from "../../runtime/store/files.ts";
import { withLock } from "./lock.ts";

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

/** How long the log is, and where it ends: kept apart from it, so that it shows when lines are cut off. */
export interface AuditHead {
  /** Hash of the first line: which log. */
  readonly log: string;
  readonly n: number;
  readonly hash: string;
}

/** What operators did, in `audit.jsonl` of their folder. Several processes may write it at once. */
export class Audit {
  readonly #files: Files;
  readonly #folder: string;
  readonly #path: string;
  readonly #told: (head: AuditHead) => Promise<unknown>;

  /** @param told keeps the new head somewhere else: at the broker */
  constructor(files: Files, folder: string, told: (head: AuditHead) => Promise<unknown> = async () => undefined) {
    this.#files = files;
    this.#folder = folder;
    this.#path = join(folder, "audit.jsonl");
    this.#told = told;
  }

  note(action: string, detail: Readonly<Record<string, unknown>>, nowMs: number): Promise<void> {
    return withLock(this.#path, () => this.#note(action, detail, nowMs));
  }

  async #note(action: string, detail: Readonly<Record<string, unknown>>, nowMs: number): Promise<void> {
    const entries = await this.read();
    const last = entries.at(-1);
    const entry = {
      n: (last?.n ?? 0) + 1,
      ts: nowMs,
      by: userInfo().username,
      action,
      detail,
      before: last?.hash ?? FIRST,
    };
    const hash = sha256(canonical(entry));
    await this.#files.append(this.#path, new TextEncoder().encode(`${JSON.stringify({ ...entry, hash })}\n`));
    await this.#files.sync(this.#path);
    const head = { log: entries[0]?.hash ?? hash, n: entry.n, hash };
    await replace(this.#files, this.#headPath, new TextEncoder().encode(JSON.stringify(head)));
    await this.#told(head);
  }

  /**
   * @param heads of logs, as they were kept elsewhere
   * @throws Failure store/corrupt at the first line that does not belong where it is, or is missing
   */
  async read(heads: readonly AuditHead[] = []): Promise<readonly AuditEntry[]> {
    const text = new TextDecoder().decode(await this.#files.read(this.#path));
    const entries: AuditEntry[] = [];
    for (const line of text.split("\n").filter((found) => found !== "")) {
      const entry = parse(line);
      const before = entries.at(-1);
      const right = entry && entry.before === (before?.hash ?? FIRST) && entry.n === entries.length + 1;
      if (!right) throw new Failure("store/corrupt", `${this.#path}: line ${entries.length + 1} was changed`);
      entries.push(entry);
    }
    for (const head of [await this.#head(), ...heads]) this.#assertReaches(entries, head);
    return entries;
  }

  #assertReaches(entries: readonly AuditEntry[], head: AuditHead | undefined): void {
    if (!head || (entries.length > 0 && entries[0]?.hash !== head.log)) return;
    if (entries[head.n - 1]?.hash === head.hash) return;
    throw new Failure("store/corrupt", `${this.#path}: expected ${head.n} lines, found ${entries.length} of them`);
  }

  async #head(): Promise<AuditHead | undefined> {
    const data = await this.#files.read(this.#headPath);
    return data && (JSON.parse(new TextDecoder().decode(data)) as AuditHead);
  }

  get #headPath(): string {
    return join(this.#folder, "audit.head.json");
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
