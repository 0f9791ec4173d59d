import { createHash } from "node:crypto";
import { join } from "node:path";
import { Failure } from "../base/failure.ts";
import { sha256 } from "./digest.ts";
import { type Files, replace } from "./files.ts";

/** How a file is named and checked: by what is in it. */
export interface BlobRef {
  readonly sha256: string;
  readonly bytes: number;
}

const CHUNK = 64 * 1024;
/** A download that dies loses at most this much. */
const SYNC_EVERY = 1024 * 1024;

/** A folder of files named by their SHA-256. What has such a name was whole when it got it, and is checked when read. */
export class Blobs {
  readonly #files: Files;
  readonly #folder: string;

  constructor(files: Files, folder: string) {
    this.#files = files;
    this.#folder = folder;
  }

  async has(sha: string): Promise<boolean> {
    return (await this.#files.size(this.#path(sha))) !== undefined;
  }

  /** @throws Failure `store/corrupt` when it is missing or no longer what its name says. */
  async read(sha: string): Promise<Uint8Array> {
    const data = await this.#files.read(this.#path(sha));
    if (data && sha256(data) === sha) return data;
    const found = data ? `${data.length} bytes with another digest` : "no file";
    throw new Failure("store/corrupt", `${this.#path(sha)}: expected the content of that digest, found ${found}`, {
      sha256: sha,
    });
  }

  async write(data: Uint8Array): Promise<string> {
    const sha = sha256(data);
    await replace(this.#files, this.#path(sha), data);
    return sha;
  }

  /** A blob that comes in pieces. What an earlier attempt left, perhaps before a power cut, is kept. */
  async part(ref: BlobRef): Promise<Part> {
    const part = new Part(this.#files, this.#folder, ref);
    await part.open();
    return part;
  }

  async remove(name: string): Promise<void> {
    await this.#files.remove(join(this.#folder, name));
  }

  list(): Promise<readonly string[]> {
    return this.#files.list(this.#folder);
  }

  #path(sha: string): string {
    return join(this.#folder, sha);
  }
}

/** A blob on its way in: `<sha>.part` until it is whole and its digest is right. */
export class Part {
  readonly ref: BlobRef;
  readonly #files: Files;
  readonly #folder: string;
  readonly #path: string;
  #hash = createHash("sha256");
  #length = 0;
  #unsynced = 0;
  /** Whether the file's name is safe too. */
  #named = false;

  constructor(files: Files, folder: string, ref: BlobRef) {
    this.ref = ref;
    this.#files = files;
    this.#folder = folder;
    this.#path = join(folder, `${ref.sha256}.part`);
  }

  /** Bytes that are here. */
  get length(): number {
    return this.#length;
  }

  async open(): Promise<void> {
    const size = (await this.#files.size(this.#path)) ?? 0;
    if (size === 0 || size > this.ref.bytes) return this.restart();
    for (let chunk = await this.#read(); chunk.length > 0; chunk = await this.#read()) this.#count(chunk);
  }

  /** @throws Failure `download/too-large` for more than was announced. */
  async append(data: Uint8Array): Promise<void> {
    if (this.#length + data.length > this.ref.bytes) {
      const message = `expected ${this.ref.bytes} bytes, the source sends more`;
      throw new Failure("download/too-large", message, { ...this.ref });
    }
    await this.#files.append(this.#path, data);
    this.#count(data);
    this.#unsynced += data.length;
    if (this.#unsynced >= SYNC_EVERY) await this.sync();
  }

  /** What was appended so far, no power cut takes any more. */
  async sync(): Promise<void> {
    await this.#files.sync(this.#path);
    if (!this.#named) await this.#files.syncFolder(this.#folder);
    this.#named = true;
    this.#unsynced = 0;
  }

  async restart(): Promise<void> {
    await this.#files.write(this.#path, new Uint8Array());
    this.#hash = createHash("sha256");
    this.#length = 0;
  }

  /** Gives the blob its name. @throws Failure `download/digest-mismatch`; the pieces are gone then. */
  async finish(): Promise<void> {
    const actual = this.#hash.copy().digest("hex");
    if (actual !== this.ref.sha256 || this.#length !== this.ref.bytes) {
      const found = `found ${this.#length} bytes with ${actual}`;
      await this.restart();
      const message = `expected ${this.ref.bytes} bytes with sha256 ${this.ref.sha256}, ${found}`;
      throw new Failure("download/digest-mismatch", message, { ...this.ref, actual });
    }
    await this.#files.sync(this.#path);
    await this.#files.rename(this.#path, join(this.#folder, this.ref.sha256));
    await this.#files.syncFolder(this.#folder);
  }

  async #read(): Promise<Uint8Array> {
    return (await this.#files.read(this.#path, this.#length, CHUNK)) ?? new Uint8Array();
  }

  #count(data: Uint8Array): void {
    this.#hash.update(data);
    this.#length += data.length;
  }
}
