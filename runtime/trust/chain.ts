import type { MetaFile, Root, Snapshot, TargetFile, Targets, Timestamp } from "@tufjs/models";
import { Failure, messageOf } from "../base/failure.ts";
import type { Signers } from "./envelope.ts";
import { assertFresh, assertNewer, assertSigned, parseMetadata, type Signed } from "./metadata.ts";

/** All metadata that a device trusts, as texts: what its store holds. */
export interface TrustedTexts {
  /** Every version after the pinned one. */
  readonly roots: readonly string[];
  readonly timestamp: string;
  readonly snapshot: string;
  readonly targets: string;
  /** By role. */
  readonly delegated: Readonly<Record<string, string>>;
}

/** Where metadata comes from. Undefined: there is no such file. @throws Failure trust/unreachable, trust/too-large */
export type FetchMetadata = (name: string, maxBytes: number) => Promise<string | undefined>;

/** Of tuf-js 5.0.1 (dist/config.js), so that both take the same repositories. */
const MAX_BYTES = { root: 512_000, timestamp: 16_384, snapshot: 2_000_000, targets: 5_000_000 } as const;
const MAX_ROTATIONS = 256;
/** The role whose keys sign assignments. It never has metadata of its own. */
const ASSIGNMENTS = "assignments";

/** Metadata that all chains to one pinned root. Never changes; a refresh gives a new one. */
export class Chain {
  readonly roots: readonly Signed<Root>[];
  readonly timestamp: Signed<Timestamp>;
  readonly snapshot: Signed<Snapshot>;
  readonly targets: Signed<Targets>;
  readonly delegated: ReadonlyMap<string, Signed<Targets>>;

  constructor(parts: Pick<Chain, "roots" | "timestamp" | "snapshot" | "targets" | "delegated">) {
    this.roots = parts.roots;
    this.timestamp = parts.timestamp;
    this.snapshot = parts.snapshot;
    this.targets = parts.targets;
    this.delegated = parts.delegated;
  }

  /** The newest root. */
  get root(): Signed<Root> {
    const last = this.roots.at(-1);
    if (!last) throw new Failure("trust/malformed", "there is no root");
    return last;
  }

  get texts(): TrustedTexts {
    return {
      roots: this.roots.slice(1).map(({ text }) => text),
      timestamp: this.timestamp.text,
      snapshot: this.snapshot.text,
      targets: this.targets.text,
      delegated: Object.fromEntries([...this.delegated].map(([name, { text }]) => [name, text])),
    };
  }

  /** Whose assignments count. @throws Failure trust/signature when nobody's do */
  get fleet(): Signers {
    const { delegations } = this.targets.metadata.signed;
    const role = delegations?.roles?.[ASSIGNMENTS];
    if (!delegations || !role) throw new Failure("trust/signature", "targets: nobody may sign assignments");
    const known = role.keyIDs.flatMap((id): [string, string][] => {
      const { keyType, keyVal } = delegations.keys[id] ?? {};
      return keyType === "ed25519" && keyVal?.public !== undefined ? [[id, keyVal.public]] : [];
    });
    return { keys: new Map(known), threshold: role.threshold };
  }

  /** A target by its path, from targets.json or the roles that it delegates such paths to, in their order. */
  target(path: string): TargetFile | undefined {
    const { targets, delegations } = this.targets.metadata.signed;
    if (Object.hasOwn(targets, path)) return targets[path];
    for (const { role, terminating } of delegations?.rolesForTarget(path) ?? []) {
      const listed = this.delegated.get(role)?.metadata.signed.targets;
      if (listed && Object.hasOwn(listed, path)) return listed[path];
      if (terminating) return undefined;
    }
    return undefined;
  }
}

/** The pinned root, which is trusted because it is there. @throws Failure trust/malformed, trust/signature */
export function pinnedRoot(text: string): Signed<Root> {
  const root = parseMetadata("root", "root", text);
  assertSigned(root, root.metadata);
  return root;
}

/** What was stored, checked again from the pinned root on; dates do not count. @throws Failure trust/... */
export function verifyTexts(pinned: Signed<Root>, texts: TrustedTexts): Chain {
  const roots = [pinned];
  for (const text of texts.roots) roots.push(nextRoot(roots, text));
  const root = newest(roots);
  const timestamp = parseMetadata("timestamp", "timestamp", texts.timestamp);
  assertSigned(timestamp, root.metadata);
  const snapshot = snapshotOf(root, timestamp, texts.snapshot);
  const targets = listedTargets("targets", snapshot, texts.targets);
  assertSigned(targets, root.metadata);
  const delegated = new Map(
    Object.entries(texts.delegated).map(([name, text]) => [name, delegatedTargets(name, targets, snapshot, text)]),
  );
  return new Chain({ roots, timestamp, snapshot, targets, delegated });
}

/**
 * The client's workflow (TUF 1.0.34, section 5), which saves nothing: either all of the new metadata is in order, or
 * the old is still what counts. `known` is what is trusted so far: the pinned root alone at first.
 * @throws Failure trust/...
 */
export async function refreshChain(known: Chain | Signed<Root>, fetch: FetchMetadata, nowMs: number): Promise<Chain> {
  const before = known instanceof Chain ? known : undefined;
  const roots = await newRoots(known instanceof Chain ? known.roots : [known], fetch);
  const root = newest(roots);
  assertFresh(root, nowMs);
  const old = before && keptBy(root, before);
  const timestamp = await newTimestamp(root, old, fetch);
  assertFresh(timestamp, nowMs);
  const snapshot = await newSnapshot(root, timestamp, old, fetch);
  assertFresh(snapshot, nowMs);
  const load = loader(root, snapshot, before, fetch);
  const targets = listedTargets("targets", snapshot, await load("targets"));
  assertSigned(targets, root.metadata);
  assertFresh(targets, nowMs);
  const delegated = new Map<string, Signed<Targets>>();
  for (const name of Object.keys(targets.metadata.signed.delegations?.roles ?? {})) {
    if (name === ASSIGNMENTS) continue;
    const role = delegatedTargets(name, targets, snapshot, await load(name));
    assertFresh(role, nowMs);
    delegated.set(name, role);
  }
  return new Chain({ roots, timestamp, snapshot, targets, delegated });
}

/** Versions count against an attacker only as long as their keys do: with new keys they start anew (5.3.11). */
function keptBy({ metadata: { signed } }: Signed<Root>, before: Chain): Chain | undefined {
  const { roles } = before.root.metadata.signed;
  const same = (name: string): boolean => roles[name].keyIDs.join() === signed.roles[name].keyIDs.join();
  return same("timestamp") && same("snapshot") ? before : undefined;
}

async function newRoots(trusted: readonly Signed<Root>[], fetch: FetchMetadata): Promise<readonly Signed<Root>[]> {
  const roots = [...trusted];
  for (let count = 0; count < MAX_ROTATIONS; count++) {
    const text = await fetch(`${newest(roots).metadata.signed.version + 1}.root.json`, MAX_BYTES.root);
    if (text === undefined) break;
    roots.push(nextRoot(roots, text));
  }
  return roots;
}

function nextRoot(roots: readonly Signed<Root>[], text: string): Signed<Root> {
  const before = newest(roots);
  const next = parseMetadata("root", "root", text);
  assertSigned(next, before.metadata);
  assertSigned(next, next.metadata);
  const [expected, found] = [before.metadata.signed.version + 1, next.metadata.signed.version];
  if (found === expected) return next;
  throw new Failure("trust/rollback", `root: expected version ${expected}, found ${found}`);
}

async function newTimestamp(
  root: Signed<Root>,
  old: Chain | undefined,
  fetch: FetchMetadata,
): Promise<Signed<Timestamp>> {
  const next = parseMetadata("timestamp", "timestamp", await present("timestamp.json", MAX_BYTES.timestamp, fetch));
  assertSigned(next, root.metadata);
  const { version, snapshotMeta } = next.metadata.signed;
  const known = old?.timestamp.metadata.signed;
  assertNewer("timestamp", version, known?.version);
  assertNewer("snapshot", snapshotMeta.version, known?.snapshotMeta.version);
  return old && version === known?.version ? old.timestamp : next;
}

async function newSnapshot(
  root: Signed<Root>,
  timestamp: Signed<Timestamp>,
  old: Chain | undefined,
  fetch: FetchMetadata,
): Promise<Signed<Snapshot>> {
  const meta = timestamp.metadata.signed.snapshotMeta;
  const file = versioned(root, "snapshot", meta.version);
  const kept = old && matches(meta, old.snapshot.text) ? old.snapshot.text : undefined;
  const text = kept ?? (await present(file, meta.length ?? MAX_BYTES.snapshot, fetch));
  const next = snapshotOf(root, timestamp, text);
  for (const [name, { version }] of Object.entries(old?.snapshot.metadata.signed.meta ?? {})) {
    const listed = next.metadata.signed.meta[name];
    if (!listed) throw new Failure("trust/rollback", `snapshot: expected ${name}, found nothing`);
    assertNewer(name, listed.version, version);
  }
  return next;
}

function snapshotOf(root: Signed<Root>, timestamp: Signed<Timestamp>, text: string): Signed<Snapshot> {
  const meta = timestamp.metadata.signed.snapshotMeta;
  assertMatches("snapshot", meta, text);
  const snapshot = parseMetadata("snapshot", "snapshot", text);
  assertSigned(snapshot, root.metadata);
  assertVersion("snapshot", snapshot.metadata.signed.version, meta.version);
  return snapshot;
}

/** Fetches what the snapshot lists, unless it is here already. */
function loader(
  root: Signed<Root>,
  snapshot: Signed<Snapshot>,
  before: Chain | undefined,
  fetch: FetchMetadata,
): (name: string) => Promise<string> {
  return async (name) => {
    const meta = listed(name, snapshot);
    const old = name === "targets" ? before?.targets.text : before?.delegated.get(name)?.text;
    if (old !== undefined && meta.hashes && matches(meta, old)) return old;
    return present(versioned(root, name, meta.version), meta.length ?? MAX_BYTES.targets, fetch);
  };
}

function listedTargets(name: string, snapshot: Signed<Snapshot>, text: string): Signed<Targets> {
  const meta = listed(name, snapshot);
  assertMatches(name, meta, text);
  const targets = parseMetadata("targets", name, text);
  assertVersion(name, targets.metadata.signed.version, meta.version);
  return targets;
}

function delegatedTargets(
  name: string,
  by: Signed<Targets>,
  snapshot: Signed<Snapshot>,
  text: string,
): Signed<Targets> {
  const role = listedTargets(name, snapshot, text);
  assertSigned(role, by.metadata);
  return role;
}

function listed(name: string, { metadata: { signed } }: Signed<Snapshot>): MetaFile {
  const meta = signed.meta[`${name}.json`];
  if (meta) return meta;
  throw new Failure("trust/mismatch", `snapshot: expected ${name}.json, found nothing`);
}

function assertVersion(what: string, found: number, expected: number): void {
  if (found === expected) return;
  throw new Failure("trust/mismatch", `${what}: expected version ${expected}, found ${found}`);
}

function assertMatches(what: string, meta: MetaFile, text: string): void {
  try {
    meta.verify(Buffer.from(text));
  } catch (error) {
    throw new Failure("trust/mismatch", `${what}: ${messageOf(error)}`, {}, error);
  }
}

function matches(meta: MetaFile, text: string): boolean {
  try {
    meta.verify(Buffer.from(text));
    return true;
  } catch {
    return false;
  }
}

/** With consistent snapshots (TUF 1.0.34, section 6.2) every version has a name of its own. */
function versioned({ metadata: { signed } }: Signed<Root>, name: string, version: number): string {
  return signed.consistentSnapshot ? `${version}.${name}.json` : `${name}.json`;
}

async function present(name: string, maxBytes: number, fetch: FetchMetadata): Promise<string> {
  const text = await fetch(name, maxBytes);
  if (text !== undefined) return text;
  throw new Failure("trust/unreachable", `${name}: the repository has no such file`);
}

function newest(roots: readonly Signed<Root>[]): Signed<Root> {
  const last = roots.at(-1);
  if (!last) throw new Failure("trust/malformed", "there is no root");
  return last;
}
