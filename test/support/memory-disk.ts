import { basename, dirname } from "node:path";
import type { Files } from "../../runtime/store/files.ts";

export class PowerCut extends Error {}

interface Inode {
  now: Uint8Array;
  /** What a power cut can't take; undefined until the first sync. */
  safe: Uint8Array | undefined;
  /** Only appended to since the last sync, so what was safe before stays. */
  grown: boolean;
}

type Names = Map<string, Inode>;
type Change = { readonly folder: string; readonly apply: (names: Names) => void };

/**
 * A disk in memory that loses power before its `cutAt`th operation. Names change in order, so any number of the
 * changes that were not synced may have got through; each file that was not synced may hold what it held at its last
 * sync, all of the new, half of it, or nothing.
 */
export class MemoryDisk implements Files {
  operations = 0;
  cutAt: number = Number.POSITIVE_INFINITY;
  free: number = 2 ** 30;
  readonly #names: Names = new Map();
  readonly #safeNames: Names = new Map();
  #pending: Change[] = [];

  async read(path: string, at = 0, length: number = Number.POSITIVE_INFINITY): Promise<Uint8Array | undefined> {
    this.#operation();
    return this.#names.get(path)?.now.slice(at, at + length);
  }

  async size(path: string): Promise<number | undefined> {
    this.#operation();
    return this.#names.get(path)?.now.length;
  }

  async list(folder: string): Promise<readonly string[]> {
    this.#operation();
    return [...this.#names.keys()].filter((path) => dirname(path) === folder).map((path) => basename(path));
  }

  async write(path: string, data: Uint8Array): Promise<void> {
    this.#operation();
    const inode = this.#names.get(path);
    if (inode) Object.assign(inode, { now: data.slice(), grown: false });
    else this.#change(path, (names) => names.set(path, created));
    const created: Inode = inode ?? { now: data.slice(), safe: undefined, grown: false };
    if (!inode) this.#names.set(path, created);
  }

  async append(path: string, data: Uint8Array): Promise<void> {
    const inode = this.#names.get(path);
    const grown = inode !== undefined && (inode.grown || inode.safe === inode.now);
    await this.write(path, Uint8Array.from(Buffer.concat([inode?.now ?? new Uint8Array(), data])));
    if (inode) inode.grown = grown;
  }

  async sync(path: string): Promise<void> {
    this.#operation();
    const inode = this.#names.get(path);
    if (inode) inode.safe = inode.now;
  }

  async rename(from: string, to: string): Promise<void> {
    this.#operation();
    const inode = this.#names.get(from);
    if (!inode) throw new Error(`no ${from}`);
    this.#changeNow(to, (names) => {
      names.delete(from);
      names.set(to, inode);
    });
  }

  async remove(path: string): Promise<void> {
    this.#operation();
    this.#changeNow(path, (names) => names.delete(path));
  }

  async makeFolder(): Promise<void> {
    this.#operation();
  }

  async syncFolder(folder: string): Promise<void> {
    this.#operation();
    for (const change of this.#pending) if (change.folder === folder) change.apply(this.#safeNames);
    this.#pending = this.#pending.filter((change) => change.folder !== folder);
  }

  async freeBytes(): Promise<number> {
    return this.free;
  }

  /** Damages a file as a worn-out card would. */
  corrupt(part: string): void {
    for (const [path, inode] of this.#names) if (path.includes(part)) inode.now = inode.safe = Uint8Array.of(1, 2, 3);
  }

  paths(): string[] {
    return [...this.#names.keys()].sort();
  }

  /** Every disk that may be found after a power cut now. */
  outcomes(): MemoryDisk[] {
    const found: MemoryDisk[] = [];
    const names: Names = new Map(this.#safeNames);
    for (let kept = 0; ; kept++) {
      found.push(...contents([...names]).map((files) => restored(files)));
      const change = this.#pending[kept];
      if (!change) return found;
      change.apply(names);
    }
  }

  /** Fills a disk with what is safe. */
  static of(files: readonly (readonly [string, Uint8Array])[]): MemoryDisk {
    const disk = new MemoryDisk();
    for (const [path, data] of files) {
      const inode = { now: data, safe: data, grown: false };
      disk.#names.set(path, inode);
      disk.#safeNames.set(path, inode);
    }
    return disk;
  }

  /** A disk of its own with the same content. */
  copy(): MemoryDisk {
    return restored([...this.#names].map(([path, { now }]) => [path, now]));
  }

  #change(path: string, apply: Change["apply"]): void {
    this.#pending.push({ folder: dirname(path), apply });
  }

  #changeNow(path: string, apply: Change["apply"]): void {
    apply(this.#names);
    this.#change(path, apply);
  }

  #operation(): void {
    if (this.operations++ >= this.cutAt) throw new PowerCut(`before operation ${this.cutAt}`);
  }
}

type Files_ = [string, Uint8Array][];

function restored(files: Files_): MemoryDisk {
  return MemoryDisk.of(files);
}

/** All combinations of what each file may hold. */
function contents(names: [string, Inode][]): Files_[] {
  return names.reduce<Files_[]>(
    (all, [path, inode]) => all.flatMap((files) => possible(inode).map((data): Files_ => [...files, [path, data]])),
    [[]],
  );
}

function possible({ now, safe, grown }: Inode): Uint8Array[] {
  if (safe === now) return [now];
  if (grown && safe) return [safe, now, now.slice(0, (safe.length + now.length) >> 1)];
  return [safe ?? new Uint8Array(), now, now.slice(0, now.length >> 1), new Uint8Array()];
}
