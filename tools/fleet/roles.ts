import { Metadata, MetadataKind, Signature } from "@tufjs/models";
import { Failure } from "../../runtime/base/failure.ts";
import { sha256 } from "../../runtime/store/digest.ts";
import { type PublicKey, signatureOf } from "../../runtime/trust/keys.ts";
import type { Keyring } from "./keyring.ts";

/** TUF metadata as JSON (TUF 1.0.34, section 4), before it is signed. */
export interface RoleKeys {
  readonly keyids: readonly string[];
  readonly threshold: number;
}

interface Common {
  readonly spec_version: string;
  readonly version: number;
  readonly expires: string;
}

export interface RootJson extends Common {
  readonly _type: "root";
  readonly consistent_snapshot: true;
  readonly keys: Readonly<Record<string, PublicKey>>;
  readonly roles: Readonly<Record<TopRole, RoleKeys>>;
}

export interface TargetsJson extends Common {
  readonly _type: "targets";
  readonly targets: Readonly<Record<string, FileJson>>;
  readonly delegations?: {
    readonly keys: Readonly<Record<string, PublicKey>>;
    readonly roles: readonly (RoleKeys & {
      readonly name: string;
      readonly terminating: boolean;
      readonly paths: readonly string[];
    })[];
  };
}

export interface FileJson {
  readonly length: number;
  readonly hashes: { readonly sha256: string };
}

export interface MetaJson extends Common {
  readonly _type: "snapshot" | "timestamp";
  readonly meta: Readonly<Record<string, FileJson & { readonly version: number }>>;
}

export type RoleJson = RootJson | TargetsJson | MetaJson;

export const topRoles = ["root", "targets", "snapshot", "timestamp"] as const;
export type TopRole = (typeof topRoles)[number];
export const delegatedRoles = ["releases", "assignments"] as const;
export type RoleName = TopRole | (typeof delegatedRoles)[number];
export const roleNames: readonly RoleName[] = [...topRoles, ...delegatedRoles];

/** Days until a role has to be signed again: the closer its key is to a network, the sooner. */
export const lifetimeDays = { root: 730, targets: 365, releases: 365, snapshot: 30, timestamp: 7 } as const;
const DAY_MS = 86_400_000;

export function header(
  role: keyof typeof lifetimeDays,
  version: number,
  nowMs: number,
): { readonly spec_version: string; readonly version: number; readonly expires: string } {
  const expires = new Date(nowMs + lifetimeDays[role] * DAY_MS).toISOString().replace(/\.\d+Z$/, "Z");
  return { spec_version: "1.0.31", version, expires };
}

/** The text of a signed file. @throws Failure trust/signature when too few private keys are here */
export function signedText(signed: RoleJson, ring: Keyring, ...by: readonly RoleKeys[]): string {
  const kind = { root: MetadataKind.Root, targets: MetadataKind.Targets, snapshot: MetadataKind.Snapshot } as const;
  const type = signed._type === "timestamp" ? MetadataKind.Timestamp : kind[signed._type];
  const parse = Metadata.fromJSON as (kind: MetadataKind, json: unknown) => Metadata<never>;
  const metadata = parse(type, { signed, signatures: [] });
  for (const { keyids, threshold } of by) {
    const keys = ring.of(keyids);
    if (keys.length < threshold) {
      const message = `${signed._type}: expected ${threshold} private keys of ${keyids.join(", ")}; ${keys.length} are here`;
      throw new Failure("trust/signature", message);
    }
    for (const { id, key } of keys) {
      metadata.sign((bytes) => new Signature({ keyID: id, sig: signatureOf(key, bytes) }));
    }
  }
  return JSON.stringify(metadata.toJSON());
}

export function fileJson(data: Uint8Array | string): FileJson {
  return { length: Buffer.byteLength(data), hashes: { sha256: sha256(data) } };
}
