import { createPrivateKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { join } from "node:path";
import { type Files, replace } from "../../runtime/store/files.ts";
import { keyIdOf, type PublicKey, publicKeyOf } from "../../runtime/trust/keys.ts";

export interface RingKey {
  readonly id: string;
  readonly key: KeyObject;
  readonly publicKey: PublicKey;
}

/** The private keys that are at hand, as PEM files of one folder: `<role>-<start of the key id>.pem`. */
export class Keyring {
  readonly #files: Files;
  readonly #folder: string;
  readonly #keys = new Map<string, RingKey>();

  private constructor(files: Files, folder: string) {
    this.#files = files;
    this.#folder = folder;
  }

  static async open(files: Files, folder: string): Promise<Keyring> {
    const ring = new Keyring(files, folder);
    for (const name of await files.list(folder)) {
      const pem = await files.read(join(folder, name));
      if (pem && name.endsWith(".pem")) ring.#add(createPrivateKey(Buffer.from(pem)));
    }
    return ring;
  }

  /** A new Ed25519 key, on disk when this returns. */
  async create(role: string): Promise<RingKey> {
    const { privateKey } = generateKeyPairSync("ed25519");
    const made = this.#add(privateKey);
    await this.#files.makeFolder(this.#folder);
    const pem = privateKey.export({ format: "pem", type: "pkcs8" });
    await replace(this.#files, join(this.#folder, `${role}-${made.id.slice(0, 8)}.pem`), Buffer.from(pem));
    return made;
  }

  /** Those of the ids whose private keys are here. */
  of(ids: readonly string[]): readonly RingKey[] {
    return ids.flatMap((id) => this.#keys.get(id) ?? []);
  }

  #add(key: KeyObject): RingKey {
    const publicKey = publicKeyOf(key);
    const made = { id: keyIdOf(publicKey), key, publicKey };
    this.#keys.set(made.id, made);
    return made;
  }
}
