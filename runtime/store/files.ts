import { dirname } from "node:path";

/**
 * All that the store asks of a disk. Every method is one step that a power cut can follow. Data is safe after `sync`,
 * names (created, renamed, removed) after `syncFolder`; before that they may be lost, kept or torn.
 */
export interface Files {
  /** `length` bytes from `at`, fewer at the end of the file; `undefined` where there is no such file. */
  read(path: string, at?: number, length?: number): Promise<Uint8Array | undefined>;
  size(path: string): Promise<number | undefined>;
  /** The names in a folder; none if there is no such folder. */
  list(folder: string): Promise<readonly string[]>;
  /** Creates the file or replaces its content. */
  write(path: string, data: Uint8Array): Promise<void>;
  append(path: string, data: Uint8Array): Promise<void>;
  sync(path: string): Promise<void>;
  /** Replaces what was at `to`. */
  rename(from: string, to: string): Promise<void>;
  /** Fine if there is no such file. */
  remove(path: string): Promise<void>;
  makeFolder(folder: string): Promise<void>;
  syncFolder(folder: string): Promise<void>;
  freeBytes(folder: string): Promise<number>;
}

/** After a power cut at any moment `path` holds its old content or all of `data`; when this returns, `data`. */
export async function replace(files: Files, path: string, data: Uint8Array): Promise<void> {
  const next = `${path}.tmp`;
  await files.write(next, data);
  await files.sync(next);
  await files.rename(next, path);
  await files.syncFolder(dirname(path));
}
