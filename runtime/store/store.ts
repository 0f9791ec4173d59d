import { join } from "node:path";
import { Failure, messageOf } from "../base/failure.ts";
import { Blobs } from "./blobs.ts";
import { canonical, sha256 } from "./digest.ts";
import { type Files, replace } from "./files.ts";
import { Journal } from "./journal.ts";
import { StateFile } from "./state-file.ts";

/** What a prepared model was made from. Equal inputs make an equal model, so its record is named by their digest. */
export type Recipe = Readonly<Record<string, string | number>>;

/** A model as this device prepared it: the `.polar` file, and what the float model answers to the probes. */
export interface Derived {
  readonly recipe: Recipe;
  readonly model: string;
  readonly answers: string;
  readonly bytes: number;
}

/** Space that is left to the rest of the system. */
const RESERVE_BYTES = 8 * 1024 * 1024;

/**
 * Everything the agent must not forget:
 *
 *   blobs/<sha>          as downloaded          blobs/<sha>.part    on its way
 *   derived/<sha>        prepared models        derived/<recipe>.json
 *   state.a.json, state.b.json                 trust.a.json, trust.b.json
 *   diary.a.json, diary.b.json                 journal.jsonl: what happened
 */
export class Store {
  readonly blobs: Blobs;
  readonly state: StateFile;
  /** Metadata that the device trusts. */
  readonly trust: StateFile;
  /** What the device tells of its past. */
  readonly diary: StateFile;
  readonly journal: Journal;
  readonly #derived: Blobs;
  readonly #files: Files;
  readonly #root: string;

  private constructor(files: Files, root: string) {
    this.#files = files;
    this.#root = root;
    this.blobs = new Blobs(files, join(root, "blobs"));
    this.#derived = new Blobs(files, join(root, "derived"));
    this.state = new StateFile(files, root, "state");
    this.diary = new StateFile(files, root, "diary");
    this.journal = new Journal(files, root);
    this.trust = new StateFile(files, root, "trust");
  }

  /**
   * Whatever the last process saw of its own unsynced changes is made durable first: what is built on it must not
   * outlive it.
   */
  static async open(files: Files, root: string): Promise<Store> {
    const folders = [root, join(root, "blobs"), join(root, "derived")];
    try {
      for (const folder of folders) await files.makeFolder(folder);
      for (const folder of folders) await files.syncFolder(folder);
    } catch (error) {
      throw new Failure("store/corrupt", `${root}: can't be used as the store: ${messageOf(error)}`, { root }, error);
    }
    return new Store(files, root);
  }

  /** @throws Failure `store/no-space` unless `bytes` more fit, with a reserve for the rest of the system. */
  async checkSpace(bytes: number): Promise<void> {
    const free = await this.#files.freeBytes(this.#root);
    if (free >= bytes + RESERVE_BYTES) return;
    const message = `${this.#root}: ${bytes} bytes and a reserve of ${RESERVE_BYTES} are needed, ${free} are free`;
    throw new Failure("store/no-space", message, { bytes, free });
  }

  async freeBytes(): Promise<number> {
    return this.#files.freeBytes(this.#root);
  }

  /** Keeps a prepared model. Returns the name of its record. */
  async writeDerived(recipe: Recipe, model: Uint8Array, answers: Uint8Array): Promise<string> {
    const derived: Derived = {
      recipe,
      model: await this.#derived.write(model),
      answers: await this.#derived.write(answers),
      bytes: model.length,
    };
    const name = recipeName(recipe);
    await replace(this.#files, this.#record(name), new TextEncoder().encode(JSON.stringify(seal(derived))));
    return name;
  }

  /** The name of the record of this very recipe, if it was prepared before and is whole. */
  async findDerived(recipe: Recipe): Promise<string | undefined> {
    const name = recipeName(recipe);
    return this.readDerived(name).then(
      () => name,
      () => undefined,
    );
  }

  /** @throws Failure `store/corrupt` unless record, model and answers are what was written. */
  async readDerived(name: string): Promise<{ record: Derived; model: Uint8Array; answers: Uint8Array }> {
    const record = await this.#readRecord(name);
    if (!record) throw new Failure("store/corrupt", `${this.#record(name)}: no whole record found`, { name });
    const [model, answers] = await Promise.all([this.#derived.read(record.model), this.#derived.read(record.answers)]);
    return { record, model, answers };
  }

  /** Removes all but the named blobs and records with what belongs to them; derived files only if every record is whole. */
  async collect(keep: { readonly blobs: ReadonlySet<string>; readonly derived: ReadonlySet<string> }): Promise<void> {
    for (const name of await this.blobs.list()) {
      if (!keep.blobs.has(name.replace(/\.part$/, ""))) await this.blobs.remove(name);
    }
    const used = new Set([...keep.derived].map((name) => `${name}.json`));
    for (const name of keep.derived) {
      const record = await this.#readRecord(name);
      if (!record) return;
      used.add(record.model).add(record.answers);
    }
    for (const name of await this.#derived.list()) if (!used.has(name)) await this.#derived.remove(name);
  }

  async #readRecord(name: string): Promise<Derived | undefined> {
    const data = await this.#files.read(this.#record(name));
    return data && unseal(new TextDecoder().decode(data), name);
  }

  #record(name: string): string {
    return join(this.#root, "derived", `${name}.json`);
  }
}

function recipeName(recipe: Recipe): string {
  return sha256(canonical(recipe));
}

function seal(derived: Derived): unknown {
  return { ...derived, digest: sha256(canonical(derived)) };
}

function unseal(text: string, name: string): Derived | undefined {
  try {
    const { digest, ...derived } = JSON.parse(text) as Derived & { readonly digest: string };
    return digest === sha256(canonical(derived)) && recipeName(derived.recipe) === name ? derived : undefined;
  } catch {
    return undefined;
  }
}
