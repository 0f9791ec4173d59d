import { join } from "node:path";
import { Failure } from "../../runtime/base/failure.ts";
import { sha256 } from "../../runtime/store/digest.ts";
import { type Files, replace } from "../../runtime/store/files.ts";
import { type Signers, seal } from "../../runtime/trust/envelope.ts";
import { type Manifest, manifestPath, parseManifest } from "../../runtime/trust/manifest.ts";
import type { TargetRef } from "../../runtime/trust/trust.ts";
import { Keyring } from "./keyring.ts";
import { withLock } from "./lock.ts";
import {
  fileJson,
  header,
  type MetaJson,
  type RoleJson,
  type RoleKeys,
  type RoleName,
  type RootJson,
  roleNames,
  signedText,
  type TargetsJson,
  topRoles,
} from "./roles.ts";

/** What a release is made of: its manifest without the files, and the files. */
export interface ReleaseDraft extends Omit<Manifest, "v" | "model" | "calibration" | "probes"> {
  readonly files: Readonly<Record<"model" | "calibration" | "probes", Uint8Array>>;
}

interface Current {
  readonly root: RootJson;
  readonly targets: TargetsJson;
  readonly releases: TargetsJson;
  readonly snapshot: MetaJson;
  readonly timestamp: MetaJson;
}

/** How many keys a role has, and how many of them must sign. */
export interface RootKeys {
  readonly count: number;
  readonly threshold: number;
}

/**
 * The operator's folder, which signs what devices take:
 *
 *   root.json                      what a device is enrolled with
 *   keys/<role>-<id>.pem           private; those of root and targets belong on a stick in a safe
 *   repository/metadata/           TUF metadata, consistent snapshots     } to be published by any
 *   repository/targets/releases/   manifests                             } web server, as it is
 *   repository/blobs/<sha256>      models, samples                       }
 *
 * Who may sign what: root the others; targets the release and the fleet keys, once; releases (a delegation) manifests;
 * assignments (another one, without metadata of its own) the jobs. The timestamp is written last, so a reader finds
 * either the old metadata or all of the new.
 */
export class Repository {
  readonly #files: Files;
  readonly #folder: string;
  readonly #ring: Keyring;
  #current: Current;

  private constructor(files: Files, folder: string, ring: Keyring, current: Current) {
    this.#files = files;
    this.#folder = folder;
    this.#ring = ring;
    this.#current = current;
  }

  /** New keys for every role, and a repository without releases. */
  static async create(files: Files, folder: string, nowMs: number, root: RootKeys): Promise<Repository> {
    if (await files.size(join(folder, "root.json"))) {
      throw new Failure("input/malformed", `${folder}: there is a repository already`);
    }
    const ring = await Keyring.open(files, join(folder, "keys"));
    const repository = new Repository(files, folder, ring, await firstRoles(ring, nowMs, root));
    const text = signedText(repository.#current.root, ring, repository.#current.root.roles.root);
    await repository.#write("metadata/1.root.json", text);
    await repository.#publish(undefined, repository.#current, nowMs);
    await replace(files, join(folder, "root.json"), Buffer.from(text));
    return repository;
  }

  /** @throws Failure input/missing */
  static async open(files: Files, folder: string): Promise<Repository> {
    const ring = await Keyring.open(files, join(folder, "keys"));
    return new Repository(files, folder, ring, await readCurrent(files, join(folder, "repository", "metadata")));
  }

  /** What a device is enrolled with. */
  async enrolment(): Promise<string> {
    const data = await this.#files.read(join(this.#folder, "root.json"));
    return new TextDecoder().decode(data);
  }

  get releases(): readonly TargetRef[] {
    return Object.entries(this.#current.releases.targets).map(([target, { length, hashes }]) => ({
      target,
      sha256: hashes.sha256,
      bytes: length,
    }));
  }

  /** @throws Failure input/missing, trust/malformed */
  async manifest(target: string): Promise<Manifest> {
    const file = this.#current.releases.targets[target];
    const data = file && (await this.#read(`targets/${target.replace("/", `/${file.hashes.sha256}.`)}`));
    if (data === undefined) throw new Failure("input/missing", `${target}: there is no such release`);
    return parseManifest(target, Buffer.from(data));
  }

  /** Whose assignments devices take. */
  get signers(): Signers {
    const { keyids, threshold } = keysOf(this.#current, "assignments");
    const keys = this.#current.targets.delegations?.keys ?? {};
    return { keys: new Map(keyids.map((id) => [id, keys[id].keyval.public])), threshold };
  }

  /** Publishes a release. @throws Failure trust/malformed, trust/signature, input/malformed */
  async release({ files, ...draft }: ReleaseDraft, nowMs: number): Promise<TargetRef> {
    const target = manifestPath(draft.name, draft.version);
    const refs = Object.fromEntries(
      Object.entries(files).map(([name, data]) => [name, { sha256: sha256(data), bytes: data.length }]),
    );
    const data = Buffer.from(JSON.stringify({ v: 1, ...draft, ...refs }));
    parseManifest(target, data);
    const digest = sha256(data);
    await this.#alone(async ({ releases: { targets } }) => {
      if (Object.hasOwn(targets, target)) {
        throw new Failure("input/malformed", `${target}: it is released already; a release never changes`);
      }
      for (const file of Object.values(files)) await this.#write(`blobs/${sha256(file)}`, file);
      await this.#write(`targets/${target.replace("/", `/${digest}.`)}`, data);
      await this.#sign({ ...targets, [target]: fileJson(data) }, nowMs);
    });
    return { target, sha256: digest, bytes: data.length };
  }

  /** A release that is not listed any more is not installed, and not started where it is. */
  async revoke(name: string, version: string, nowMs: number): Promise<void> {
    const target = manifestPath(name, version);
    await this.#alone(async ({ releases: { targets } }) => {
      const { [target]: gone, ...rest } = targets;
      if (!gone) throw new Failure("input/missing", `${target}: there is no such release`);
      await this.#sign(rest, nowMs);
    });
  }

  /** New dates for what expires soonest: the timestamp and the snapshot. */
  async renew(nowMs: number): Promise<void> {
    await this.#alone((current) => this.#publish(current, current, nowMs));
  }

  /** A new key in the place of all those that a role has had. */
  async rotate(role: RoleName, nowMs: number): Promise<void> {
    await this.#alone((current) => this.#rotate(current, role, nowMs));
  }

  async #rotate({ root, targets, releases }: Current, role: RoleName, nowMs: number): Promise<void> {
    const { id, publicKey } = await this.#ring.create(role);
    const keys = { keyids: [id], threshold: 1 };
    if (role === "releases" || role === "assignments") {
      const next = { ...delegatedTo(targets, role, id, publicKey), ...header("targets", targets.version + 1, nowMs) };
      const signedAnew = role === "releases" ? header("releases", releases.version + 1, nowMs) : {};
      return this.#publish(
        this.#current,
        { ...this.#current, targets: next, releases: { ...releases, ...signedAnew } },
        nowMs,
      );
    }
    const roles = { ...root.roles, [role]: keys };
    const used = pick(
      { ...root.keys, [id]: publicKey },
      topRoles.flatMap((name) => roles[name].keyids),
    );
    const next: RootJson = { ...root, ...header("root", root.version + 1, nowMs), roles, keys: used };
    const text = signedText(next, this.#ring, root.roles.root, next.roles.root);
    await this.#write(`metadata/${next.version}.root.json`, text);
    const signedAnew = role === "targets" ? header("targets", targets.version + 1, nowMs) : {};
    await this.#publish(this.#current, { ...this.#current, root: next, targets: { ...targets, ...signedAnew } }, nowMs);
  }

  /** An assignment in its envelope, signed with the fleet keys that are here. @throws Failure trust/signature */
  sign(assignment: Readonly<Record<string, unknown>>): Uint8Array {
    const keys = this.#ring.of(keysOf(this.#current, "assignments").keyids);
    if (keys.length === 0) throw new Failure("trust/signature", "assignments: no fleet key is here");
    return seal(
      Buffer.from(JSON.stringify(assignment)),
      keys.map(({ key }) => key),
    );
  }

  /** One change at a time, of whatever the last one left: others may sign in this folder too. */
  async #alone(change: (current: Current) => Promise<void>): Promise<void> {
    const folder = join(this.#folder, "repository");
    await withLock(folder, async () => {
      this.#current = await readCurrent(this.#files, join(folder, "metadata"));
      await change(this.#current);
    });
  }

  async #sign(listed: TargetsJson["targets"], nowMs: number): Promise<void> {
    const { releases } = this.#current;
    const next = { ...releases, ...header("releases", releases.version + 1, nowMs), targets: listed };
    await this.#publish(this.#current, { ...this.#current, releases: next }, nowMs);
  }

  /** Signs and writes what is not published in this version yet; a file that a crash has left does not count. */
  async #publish(published: Current | undefined, next: Current, nowMs: number): Promise<void> {
    const meta: Record<string, MetaJson["meta"][string]> = {};
    for (const name of ["targets", "releases"] as const) {
      const role = next[name];
      const path = `metadata/${role.version}.${name}.json`;
      const signed = role.version === published?.[name].version ? await this.#read(path) : undefined;
      const text = signed ?? signedText(role, this.#ring, keysOf(next, name));
      await this.#write(path, text);
      meta[`${name}.json`] = { version: role.version, ...fileJson(text) };
    }
    const snapshot: MetaJson = { _type: "snapshot", ...header("snapshot", next.snapshot.version + 1, nowMs), meta };
    const text = signedText(snapshot, this.#ring, next.root.roles.snapshot);
    await this.#write(`metadata/${snapshot.version}.snapshot.json`, text);
    const timestamp: MetaJson = {
      _type: "timestamp",
      ...header("timestamp", next.timestamp.version + 1, nowMs),
      meta: { "snapshot.json": { version: snapshot.version, ...fileJson(text) } },
    };
    await this.#write("metadata/timestamp.json", signedText(timestamp, this.#ring, next.root.roles.timestamp));
    this.#current = { ...next, snapshot, timestamp };
  }

  async #read(path: string): Promise<string | undefined> {
    const data = await this.#files.read(join(this.#folder, "repository", path));
    return data && new TextDecoder().decode(data);
  }

  async #write(path: string, data: Uint8Array | string): Promise<void> {
    const full = join(this.#folder, "repository", path);
    await this.#files.makeFolder(join(full, ".."));
    await replace(this.#files, full, typeof data === "string" ? Buffer.from(data) : data);
  }
}

type PublicKeys = RootJson["keys"];

function pick(keys: PublicKeys, ids: readonly string[]): PublicKeys {
  return Object.fromEntries(ids.map((id) => [id, keys[id]]));
}

function keysOf({ root, targets }: Current, name: "targets" | "releases" | "assignments"): RoleKeys {
  if (name === "targets") return root.roles.targets;
  return targets.delegations?.roles.find((role) => role.name === name) ?? { keyids: [], threshold: 1 };
}

function delegatedTo(targets: TargetsJson, name: string, id: string, key: PublicKeys[string]): TargetsJson {
  const { delegations } = targets;
  const roles = (delegations?.roles ?? []).map((role) => (role.name === name ? { ...role, keyids: [id] } : role));
  const keys = pick(
    { ...delegations?.keys, [id]: key },
    roles.flatMap(({ keyids }) => keyids),
  );
  return { ...targets, delegations: { keys, roles } };
}

async function firstRoles(ring: Keyring, nowMs: number, { count, threshold }: RootKeys): Promise<Current> {
  const keys: Record<string, RootJson["keys"][string]> = {};
  const roles: Record<string, RoleKeys> = {};
  for (const role of roleNames) {
    const made = [];
    for (let i = 0; i < (role === "root" ? count : 1); i++) made.push(await ring.create(role));
    for (const { id, publicKey } of made) keys[id] = publicKey;
    roles[role] = { keyids: made.map(({ id }) => id), threshold: role === "root" ? threshold : 1 };
  }
  const used = (names: readonly RoleName[]): PublicKeys =>
    pick(
      keys,
      names.flatMap((name) => roles[name].keyids),
    );
  const { root, targets, snapshot, timestamp } = roles;
  return {
    root: {
      _type: "root",
      ...header("root", 1, nowMs),
      consistent_snapshot: true,
      keys: used(topRoles),
      roles: { root, targets, snapshot, timestamp },
    },
    targets: {
      _type: "targets",
      ...header("targets", 1, nowMs),
      targets: {},
      delegations: {
        keys: used(["releases", "assignments"]),
        roles: [
          { name: "releases", ...roles.releases, terminating: true, paths: ["releases/*"] },
          { name: "assignments", ...roles.assignments, terminating: true, paths: ["assignments/*"] },
        ],
      },
    },
    releases: { _type: "targets", ...header("releases", 1, nowMs), targets: {} },
    snapshot: { _type: "snapshot", ...header("snapshot", 0, nowMs), meta: {} },
    timestamp: { _type: "timestamp", ...header("timestamp", 0, nowMs), meta: {} },
  };
}

async function readCurrent(files: Files, folder: string): Promise<Current> {
  const read = async <T extends RoleJson>(name: string): Promise<T> => {
    const data = await files.read(join(folder, name));
    if (!data) throw new Failure("input/missing", `${join(folder, name)}: no such file; see polaredge fleet keys`);
    return (JSON.parse(new TextDecoder().decode(data)) as { readonly signed: T }).signed;
  };
  const roots = (await files.list(folder)).flatMap((name) => /^(\d+)\.root\.json$/.exec(name)?.[1] ?? []).map(Number);
  const timestamp = await read<MetaJson>("timestamp.json");
  const snapshot = await read<MetaJson>(`${timestamp.meta["snapshot.json"].version}.snapshot.json`);
  return {
    root: await read<RootJson>(`${Math.max(...roots)}.root.json`),
    targets: await read<TargetsJson>(`${snapshot.meta["targets.json"].version}.targets.json`),
    releases: await read<TargetsJson>(`${snapshot.meta["releases.json"].version}.releases.json`),
    snapshot,
    timestamp,
  };
}
