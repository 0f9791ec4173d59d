import { mkdir, rmdir, stat, utimes } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { systemClock } from "../../runtime/base/clock.ts";
import { Failure } from "../../runtime/base/failure.ts";
import { sha256 } from "../../runtime/store/digest.ts";

const AGAIN_MS = 10;
/** Whoever holds it says so more often; whoever does not, has died. */
const STALE_MS = 10_000;
const HOLD_MS = 2000;
const PATIENCE_MS = 60_000;

/** One process of this machine at a time: a folder is made by one only. @throws Failure store/corrupt */
export async function withLock<T>(what: string, work: () => Promise<T>): Promise<T> {
  const path = join(tmpdir(), `polaredge-lock-${sha256(resolve(what)).slice(0, 16)}`);
  await take(path);
  const holding = setInterval(() => void utimes(path, new Date(), new Date()).catch(() => undefined), HOLD_MS);
  try {
    return await work();
  } finally {
    clearInterval(holding);
    await rmdir(path).catch(() => undefined);
  }
}

async function take(path: string): Promise<void> {
  for (let waitedMs = 0; waitedMs < PATIENCE_MS; waitedMs += AGAIN_MS) {
    if (await made(path)) return;
    const { mtimeMs } = await stat(path).catch(() => ({ mtimeMs: Number.POSITIVE_INFINITY }));
    if (Date.now() - mtimeMs > STALE_MS) await rmdir(path).catch(() => undefined);
    else await systemClock.sleep(AGAIN_MS);
  }
  throw new Failure("store/corrupt", `${path}: another process holds this lock, or left it; remove it`);
}

async function made(path: string): Promise<boolean> {
  return mkdir(path).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === "EEXIST") return false;
      throw error;
    },
  );
}
