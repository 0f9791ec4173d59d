import { appendFile, mkdir, open, readdir, readFile, rename, rm, stat, statfs, writeFile } from "node:fs/promises";
import { Failure } from "../base/failure.ts";
import type { Files } from "./files.ts";

/** Models may be trade secrets: nobody but the agent's own user reads them. */
const FILE_MODE = 0o600;
const FOLDER_MODE = 0o700;

/** The real disk. @throws Failure `store/no-space` when it is full; other errors of the system as they are. */
export const disk: Files = {
  read: (path, at, length) =>
    orUndefined(at === undefined ? readFile(path).then(plain) : readPart(path, at, length ?? Number.MAX_SAFE_INTEGER)),
  size: async (path) => (await orUndefined(stat(path)))?.size,
  list: async (folder) => (await orUndefined(readdir(folder))) ?? [],
  write: (path, data) => withSpace(path, writeFile(path, data, { mode: FILE_MODE })),
  append: (path, data) => withSpace(path, appendFile(path, data, { mode: FILE_MODE })),
  sync: (path) => withSpace(path, sync(path)),
  rename: (from, to) => withSpace(to, rename(from, to)),
  remove: (path) => rm(path, { force: true }),
  makeFolder: async (folder) => void (await withSpace(folder, mkdir(folder, { recursive: true, mode: FOLDER_MODE }))),
  syncFolder: (folder) => sync(folder),
  freeBytes: async (folder) => {
    const { bavail, bsize } = await statfs(folder);
    return bavail * bsize;
  },
};

async function readPart(path: string, at: number, length: number): Promise<Uint8Array> {
  const file = await open(path);
  try {
    const { size } = await file.stat();
    const part = Buffer.alloc(Math.max(0, Math.min(length, size - at)));
    const { bytesRead } = await file.read(part, 0, part.length, at);
    return plain(part.subarray(0, bytesRead));
  } finally {
    await file.close();
  }
}

/** A Buffer is a Uint8Array whose `slice` does not copy; nobody should have to know. */
function plain({ buffer, byteOffset, byteLength }: Buffer): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

async function sync(path: string): Promise<void> {
  const handle = await open(path);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function orUndefined<T>(result: Promise<T>): Promise<T | undefined> {
  return result.catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw error;
  });
}

async function withSpace<T>(path: string, result: Promise<T>): Promise<T> {
  return result.catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "ENOSPC" && error.code !== "EDQUOT") throw error;
    throw new Failure("store/no-space", `${path}: the disk is full; free some space and try again`, { path }, error);
  });
}
