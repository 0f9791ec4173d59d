import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { Failure, messageOf } from "../../runtime/base/failure.ts";
import { parseJson } from "../../runtime/base/json.ts";
import { smallFiles } from "../../runtime/fleet/files/small-file.ts";
import { importModel } from "../../runtime/model/import.ts";
import { encodeStatistics } from "../../runtime/polarize/statistics.ts";
import { statisticsOf } from "../../runtime/polarize/synthesis.ts";
import { disk } from "../../runtime/store/disk.ts";
import { decodeNpy } from "../../runtime/tensor/npy.ts";
import { pinnedRoot, refreshChain } from "../../runtime/trust/chain.ts";
import type { FetchSmall, TargetRef } from "../../runtime/trust/trust.ts";
import { table } from "../cli/table.ts";
import { Repository } from "./repository.ts";
import { type RoleName, roleNames } from "./roles.ts";

export interface KeysOptions {
  readonly folder: string;
  readonly rootKeys: number;
  readonly threshold: number;
  readonly rotate?: string;
  readonly renew?: boolean;
  readonly json?: boolean;
}

/** `polaredge fleet keys`: a new repository, or new keys in one. @throws Failure input/..., trust/signature */
export async function keys({ folder, rootKeys, threshold, rotate, renew, json }: KeysOptions): Promise<string> {
  const now = Date.now();
  const told = (found: object, text: string): string => (json ? JSON.stringify(found, undefined, 2) : text);
  if (renew === true) {
    await (await Repository.open(disk, folder)).renew(now);
    return told(
      { folder, renewed: ["timestamp", "snapshot"] },
      `${folder}: the timestamp and the snapshot are signed anew`,
    );
  }
  if (rotate !== undefined) {
    const role = roleNames.find((name): name is RoleName => name === rotate);
    if (!role) throw new Failure("input/malformed", `--rotate: expected ${roleNames.join(", ")}, found ${rotate}`);
    await (await Repository.open(disk, folder)).rotate(role, now);
    return told(
      { folder, rotated: role },
      `${folder}: ${role} has a new key; the old private key is of no use any more`,
    );
  }
  if (threshold > rootKeys)
    throw new Failure("input/malformed", `--threshold: at most ${rootKeys}, found ${threshold}`);
  await disk.makeFolder(folder);
  await Repository.create(disk, folder, now, { count: rootKeys, threshold });
  const made = { root: join(folder, "root.json"), repository: join(folder, "repository"), keys: join(folder, "keys") };
  const text = [
    `${made.root}: enrol devices with it (trust.root in their configuration)`,
    `${made.repository}: publish it with any web server (trust.repository)`,
    `${made.keys}: private; keep those of root and targets off this machine once all is set up`,
  ];
  return told(made, text.join("\n"));
}

export interface ReleaseOptions {
  readonly folder: string;
  readonly name: string;
  readonly version: string;
  readonly calibration: string;
  /** Publish the statistics of the calibration inputs, from which devices make inputs of their own. */
  readonly statistics?: boolean;
  readonly probes: string;
  readonly index: number;
  readonly profiles?: string;
  readonly minAgreement: number;
  readonly trialSeconds: number;
  readonly trialPasses: number;
  readonly minContinuity?: number;
  readonly maxTrialErrors?: number;
  readonly maxTrialP95?: number;
  readonly maxResidual?: number;
  readonly notes?: string;
}

/** `polaredge fleet release`. @throws Failure input/..., trust/... */
export async function release(model: string, options: ReleaseOptions): Promise<TargetRef> {
  const repository = await Repository.open(disk, options.folder);
  const calibration = await fileAt(options.calibration);
  const float = await fileAt(model);
  const files = {
    model: float,
    calibration: options.statistics ? await summarized(float, model, calibration, options.calibration) : calibration,
    probes: await fileAt(options.probes),
  };
  const { name, version, index, profiles, minAgreement, notes } = options;
  const draft = {
    name,
    version,
    rollbackIndex: index,
    requires: profiles === undefined ? {} : { profiles: profiles.split(",") },
    accept: { minAgreementPct: minAgreement },
    trial: {
      passes: options.trialPasses,
      seconds: options.trialSeconds,
      minInferences: 0,
      minContinuityPct: options.minContinuity,
      maxErrorPct: options.maxTrialErrors,
      p95Ms: options.maxTrialP95,
      maxResidual: options.maxResidual,
    },
    ...(notes !== undefined && { notes }),
    files,
  };
  return repository.release(draft, Date.now());
}

async function summarized(model: Uint8Array, name: string, samples: Uint8Array, where: string): Promise<Uint8Array> {
  return encodeStatistics(await statisticsOf(importModel(model, name), decodeNpy(samples, where)));
}

export interface RevokeOptions {
  readonly folder: string;
  readonly json?: boolean;
}

/** `polaredge fleet revoke`. @throws Failure input/missing */
export async function revoke(name: string, version: string, { folder, json }: RevokeOptions): Promise<string> {
  await (await Repository.open(disk, folder)).revoke(name, version, Date.now());
  const repository = join(folder, "repository");
  if (json) return JSON.stringify({ name, version, repository });
  return `${name} ${version} is withdrawn; publish ${repository}, devices look there every six hours`;
}

/** `polaredge fleet sign`: the envelope of an assignment, to be published on `job/desired`, retained. */
export async function sign(file: string, { folder }: { readonly folder: string }): Promise<string> {
  const text = new TextDecoder().decode(await fileAt(file));
  const json = parseJson(text, file, "input/malformed");
  if (typeof json !== "object" || json === null) {
    throw new Failure("input/malformed", `${file}: expected an object, found ${text.slice(0, 20)}`);
  }
  const repository = await Repository.open(disk, folder);
  return new TextDecoder().decode(repository.sign(json as Record<string, unknown>));
}

export interface VerifyOptions {
  readonly root: string;
  readonly repository: string;
  readonly json?: boolean;
}

/** `polaredge fleet verify`: what a device enrolled with this root makes of a repository. @throws Failure trust/... */
export async function verify({ root, repository, json }: VerifyOptions): Promise<string> {
  const fetch = /^https?:/.test(repository) ? smallFiles(repository) : folderFiles(repository);
  const signal = AbortSignal.timeout(60_000);
  const load = async (name: string, maxBytes: number): Promise<string | undefined> => {
    const data = await fetch(`metadata/${name}`, maxBytes, signal);
    return data && new TextDecoder().decode(data);
  };
  const pinned = pinnedRoot(new TextDecoder().decode(await fileAt(root)));
  const chain = await refreshChain(pinned, load, Date.now());
  const roles = [chain.root, chain.targets, ...chain.delegated.values(), chain.snapshot, chain.timestamp];
  const signed = roles.map(({ name, metadata: { signed: role } }) => ({
    role: name,
    version: role.version,
    expires: role.expires,
  }));
  const releases = [...chain.delegated.values()].flatMap(({ metadata }) =>
    Object.values(metadata.signed.targets).map(({ path, hashes, length }) => ({
      target: path,
      sha256: hashes.sha256,
      bytes: length,
    })),
  );
  if (json === true) return JSON.stringify({ roles: signed, releases }, undefined, 2);
  return [
    table(
      [{ title: "role" }, { title: "version" }, { title: "expires" }],
      signed.map(({ role, version, expires }) => [role, String(version), expires]),
    ),
    "",
    table(
      [{ title: "release" }, { title: "sha256" }],
      releases.map(({ target, sha256 }) => [target, sha256]),
    ),
  ].join("\n");
}

function folderFiles(folder: string): FetchSmall {
  return async (path, maxBytes) => disk.read(join(folder, path), 0, maxBytes).catch(() => undefined);
}

async function fileAt(path: string): Promise<Uint8Array> {
  return readFile(path).catch((error: unknown) => {
    throw new Failure("input/missing", `${path}: can't be read: ${messageOf(error)}`, { path }, error);
  });
}
