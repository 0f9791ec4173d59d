import type { Root } from "@tufjs/models";
import type { Clock } from "../base/clock.ts";
import { Failure, isFailure } from "../base/failure.ts";
import type { Blobs } from "../store/blobs.ts";
import { sha256 } from "../store/digest.ts";
import type { StateFile } from "../store/state-file.ts";
import { type Chain, pinnedRoot, refreshChain, type TrustedTexts, verifyTexts } from "./chain.ts";
import { parseEnvelope, unseal } from "./envelope.ts";
import { MAX_MANIFEST_BYTES, type Manifest, parseManifest } from "./manifest.ts";
import type { Signed } from "./metadata.ts";
import { EarliestTime } from "./time.ts";

/** A release as an assignment names it. */
export interface TargetRef {
  readonly target: string;
  readonly sha256: string;
  readonly bytes: number;
}

/** Why a model may run: the release that names it, kept with the model. */
export interface Proof extends TargetRef {
  readonly rollbackIndex: number;
  /** Digest of the metadata that was trusted then, from the pinned root on: a blob, in case the newest is lost. */
  readonly chain: string;
}

/** How new the metadata is that was seen last; kept apart from it, in case it gets lost. */
export interface Seen {
  readonly root: number;
  readonly timestamp: number;
  /** UTC, milliseconds: earlier than that it never is again, whatever the clock says. */
  readonly atMs?: number | undefined;
}

export interface TrustedRelease {
  readonly manifest: Manifest;
  readonly proof: Proof;
  readonly seen: Seen;
}

/** A small file of the repository by its path; undefined where there is none. @throws Failure trust/unreachable, trust/too-large */
export type FetchSmall = (path: string, maxBytes: number, signal: AbortSignal) => Promise<Uint8Array | undefined>;

export interface TrustParts {
  /** root.json as it was given to the device when it was enrolled. */
  readonly root: string;
  readonly fetch: FetchSmall;
  readonly file: StateFile;
  readonly blobs: Blobs;
  readonly clock: Clock;
}

/** What this device lets in: nothing that does not chain to the root key that it was enrolled with. */
export class Trust {
  readonly #parts: TrustParts;
  readonly #pinned: Signed<Root>;
  readonly #time: EarliestTime;
  #chain: Chain | undefined;
  #turn: Promise<unknown> = Promise.resolve();

  private constructor(parts: TrustParts, pinned: Signed<Root>, chain: Chain | undefined) {
    this.#parts = parts;
    this.#pinned = pinned;
    this.#chain = chain;
    this.#time = new EarliestTime(parts.clock);
  }

  /**
   * Checks all that is stored, from the pinned root on. What does not pass is as good as lost.
   * @throws Failure trust/... when the pinned root itself is no root
   */
  static async start(parts: TrustParts): Promise<Trust> {
    const pinned = pinnedRoot(parts.root);
    return new Trust(parts, pinned, stored(pinned, await parts.file.load()));
  }

  /** UTC, milliseconds; a clock that was turned back does not make the old new. */
  now(seen: Seen | undefined): number {
    return this.#time.now(seen?.atMs);
  }

  /** Whether the newest metadata has expired: somebody keeps the newer one away, or nobody renews it. */
  isFrozen(seen: Seen | undefined): boolean {
    return this.#chain !== undefined && this.now(seen) >= expiryOf(this.#chain);
  }

  /** What is to be remembered of the metadata and the time. Never later than the metadata lasts, so that a clock that
   * once ran ahead can't lock the device out for ever. */
  seen(before: Seen | undefined): Seen | undefined {
    const chain = this.#chain;
    return chain && { ...seenBy(chain), atMs: Math.min(this.now(before), expiryOf(chain)) };
  }

  /** Looks whether there is newer metadata. @throws Failure trust/... */
  async refresh(seen: Seen | undefined, signal: AbortSignal): Promise<void> {
    await this.#refresh(seen, signal);
  }

  /** The assignment in an envelope. A key that is not known may be new, so the repository is asked. @throws Failure trust/... */
  async open(payload: Uint8Array, seen: Seen | undefined, signal: AbortSignal): Promise<Uint8Array> {
    const envelope = parseEnvelope(payload);
    try {
      if (this.#chain) return unseal(envelope, this.#chain.fleet);
    } catch (error) {
      if (!isFailure(error, "trust/unsigned")) throw error;
    }
    return unseal(envelope, (await this.#refresh(seen, signal)).fleet);
  }

  /**
   * The manifest of a release, by the newest metadata there is.
   * @param seen what was seen before: metadata that has been lost on this device must not come back older
   * @throws Failure trust/...
   */
  async release(ref: TargetRef, seen: Seen | undefined, signal: AbortSignal): Promise<TrustedRelease> {
    const chain = await this.#refresh(seen, signal);
    assertListed(chain, ref);
    const data = await this.#parts.fetch(targetFile(chain, ref), MAX_MANIFEST_BYTES, signal);
    if (!data || sha256(data) !== ref.sha256) {
      throw new Failure("trust/arbitrary", `${ref.target}: expected the manifest that was signed, found another`);
    }
    const manifest = parseManifest(ref.target, data);
    await this.#parts.blobs.write(data);
    const texts = await this.#parts.blobs.write(new TextEncoder().encode(JSON.stringify(chain.texts)));
    return {
      manifest,
      proof: { ...ref, rollbackIndex: manifest.rollbackIndex, chain: texts },
      seen: this.seen(seen) ?? seenBy(chain),
    };
  }

  /** Whether a model that is here may run, by what is known here: also without a network. @throws Failure trust/... */
  async assertTrusted(model: { readonly sha256: string }, proof: Proof | undefined): Promise<void> {
    if (!proof) throw new Failure("trust/unsigned", `model ${model.sha256}: it came without a signed release`);
    assertListed(this.#chain ?? (await this.#chainOf(proof)), proof);
    const manifest = parseManifest(proof.target, await this.#parts.blobs.read(proof.sha256));
    if (manifest.model.sha256 === model.sha256) return;
    throw new Failure("trust/arbitrary", `${proof.target}: it is a release of another model than ${model.sha256}`);
  }

  async #chainOf(proof: Proof): Promise<Chain> {
    const texts = JSON.parse(new TextDecoder().decode(await this.#parts.blobs.read(proof.chain)));
    return verifyTexts(this.#pinned, texts as TrustedTexts);
  }

  /** One after the other: two would write the same file. */
  #refresh(seen: Seen | undefined, signal: AbortSignal): Promise<Chain> {
    const refreshed = this.#turn.then(() => this.#renew(seen, signal));
    this.#turn = refreshed.catch(() => undefined);
    return refreshed;
  }

  async #renew(seen: Seen | undefined, signal: AbortSignal): Promise<Chain> {
    signal.throwIfAborted();
    const { fetch, file } = this.#parts;
    const load = async (name: string, maxBytes: number): Promise<string | undefined> => {
      const data = await fetch(`metadata/${name}`, maxBytes, signal);
      return data && new TextDecoder().decode(data);
    };
    const chain = await refreshChain(this.#chain ?? this.#pinned, load, this.now(seen));
    assertNotForgotten(chain, seen);
    if (JSON.stringify(chain.texts) !== JSON.stringify(this.#chain?.texts)) await file.save(chain.texts);
    this.#chain = chain;
    return chain;
  }
}

function stored(pinned: Signed<Root>, texts: unknown): Chain | undefined {
  try {
    return texts === undefined ? undefined : verifyTexts(pinned, texts as TrustedTexts);
  } catch {
    return undefined;
  }
}

function expiryOf({ timestamp }: Chain): number {
  return Date.parse(timestamp.metadata.signed.expires);
}

function seenBy({ root, timestamp }: Chain): Seen {
  return { root: root.metadata.signed.version, timestamp: timestamp.metadata.signed.version };
}

/** The metadata itself may have been lost with a worn-out card; an older repository must not profit. */
function assertNotForgotten(chain: Chain, seen: Seen | undefined): void {
  const { root, timestamp } = seenBy(chain);
  if (!seen || root > seen.root || (root === seen.root && timestamp >= seen.timestamp)) return;
  const expected = `expected root ${seen.root} and timestamp ${seen.timestamp} or later, which were here once`;
  throw new Failure("trust/lost", `${expected}; found ${root} and ${timestamp}`);
}

function assertListed(chain: Chain, { target, sha256: expected, bytes }: TargetRef): void {
  const listed = chain.target(target);
  if (!listed) throw new Failure("trust/unknown-release", `${target}: it is not released, or not any more`);
  if (listed.hashes.sha256 === expected && listed.length === bytes) return;
  throw new Failure("trust/unknown-release", `${target}: another file than ${expected} is released by that name`);
}

function targetFile(chain: Chain, { target, sha256: digest }: TargetRef): string {
  if (!chain.root.metadata.signed.consistentSnapshot) return `targets/${target}`;
  const cut = target.lastIndexOf("/") + 1;
  return `targets/${target.slice(0, cut)}${digest}.${target.slice(cut)}`;
}
