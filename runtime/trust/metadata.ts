import {
  type Key,
  Metadata,
  MetadataKind,
  type Root,
  type Snapshot,
  type Targets,
  type Timestamp,
} from "@tufjs/models";
import { Failure, messageOf } from "../base/failure.ts";
import { assertSound } from "./keys.ts";

/** One of the four kinds of metadata (TUF 1.0.34, section 4), as it was read and as it was written. */
export interface Signed<T extends Root | Timestamp | Snapshot | Targets> {
  readonly name: string;
  readonly text: string;
  readonly metadata: Metadata<T>;
}

interface Kinds {
  readonly root: Root;
  readonly timestamp: Timestamp;
  readonly snapshot: Snapshot;
  readonly targets: Targets;
}

const kinds = {
  root: MetadataKind.Root,
  timestamp: MetadataKind.Timestamp,
  snapshot: MetadataKind.Snapshot,
  targets: MetadataKind.Targets,
} as const;

/** @throws Failure trust/malformed, trust/weak-key */
export function parseMetadata<K extends keyof Kinds>(kind: K, name: string, text: string): Signed<Kinds[K]> {
  try {
    const parse = Metadata.fromJSON as (kind: MetadataKind, json: unknown) => Metadata<Kinds[K]>;
    const metadata = parse(kinds[kind], JSON.parse(text));
    assertForm(metadata);
    return { name, text, metadata };
  } catch (error) {
    if (error instanceof Failure) throw error;
    throw new Failure("trust/malformed", `${name}: ${messageOf(error)}`, {}, error);
  }
}

/** What the library lets through: versions that are no numbers, dates that never come, and keys that prove nothing. */
function assertForm({ signed }: Metadata<Root | Timestamp | Snapshot | Targets>): void {
  if (!Number.isSafeInteger(signed.version) || signed.version < 1) throw new Error(`version ${signed.version}`);
  if (!/^\d{4}-\d\d-\d\dT[\d:.]+Z$/.test(signed.expires) || Number.isNaN(Date.parse(signed.expires))) {
    throw new Error(`expires ${signed.expires}`);
  }
  if (signed.type === MetadataKind.Root) {
    for (const role of Object.values(signed.roles)) assertRole(role, signed.keys);
  }
  if (signed.type === MetadataKind.Targets) {
    for (const role of Object.values(signed.delegations?.roles ?? {})) {
      assertRole(role, signed.delegations?.keys ?? {});
    }
  }
}

/** A key that goes by two names must not count twice. */
function assertRole(role: { readonly keyIDs: readonly string[] }, keys: Readonly<Record<string, Key>>): void {
  const present = role.keyIDs.flatMap((id) => keys[id] ?? []);
  const values = new Set(present.map(({ keyVal }) => keyVal.public));
  if (values.size < present.length) throw new Error("one key under two names");
  for (const { keyType, keyVal } of present) if (keyType === "ed25519") assertSound(keyVal.public ?? "");
}

/** @throws Failure trust/signature unless enough of the keys that `by` names for this role have signed. */
export function assertSigned(
  of: Signed<Root | Timestamp | Snapshot | Targets>,
  by: Metadata<Root | Targets>,
  role: string = of.name,
): void {
  try {
    by.verifyDelegate(role, of.metadata);
  } catch (error) {
    throw new Failure("trust/signature", `${of.name}: ${messageOf(error)}`, {}, error);
  }
}

/** @throws Failure trust/expired */
export function assertFresh({ name, metadata }: Signed<Root | Timestamp | Snapshot | Targets>, nowMs: number): void {
  const { expires } = metadata.signed;
  if (nowMs < Date.parse(expires)) return;
  throw new Failure("trust/expired", `${name}: it was to be renewed by ${expires}`, { expires });
}

/** More versions than a repository makes while a device is away: one each minute, for two years. */
const LONGEST_JUMP = 1_000_000;

/** @throws Failure trust/rollback, trust/fast-forward */
export function assertNewer(what: string, version: number, known: number | undefined): void {
  if (known !== undefined && version < known) {
    throw new Failure("trust/rollback", `${what}: expected version ${known} or later, found ${version}`);
  }
  if (version <= (known ?? 0) + LONGEST_JUMP) return;
  throw new Failure("trust/fast-forward", `${what}: expected a version close to ${known ?? 0}, found ${version}`);
}
