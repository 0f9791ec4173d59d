import { readdir, readFile } from "node:fs/promises";
import { basename } from "node:path";
import type * as z from "zod/mini";
import { asset } from "../runtime/base/assets.ts";
import { Failure, messageOf } from "../runtime/base/failure.ts";
import { parseJson } from "../runtime/base/json.ts";
import { describeIssues } from "../runtime/base/schema.ts";
import { type AcceleratorProfile, acceleratorProfile } from "./accelerator.ts";
import { type DeviceProfile, deviceProfile } from "./device.ts";

export type Profile = DeviceProfile | AcceleratorProfile;

const FOLDER = "device-profiles/";
/** What a shipped profile is called; anything else is the path of a file. */
const NAME = /^[a-z0-9][a-z0-9-]*$/;

/**
 * A device's profile: the name of a shipped one, or the path of a JSON file.
 * @throws Failure `profile/unknown`, `input/missing` or `profile/invalid`, which lists every problem
 */
export async function loadProfile(nameOrPath: string): Promise<DeviceProfile> {
  return parseProfile(await readProfile(nameOrPath, "device"), nameOrPath);
}

/** The same for an accelerator. */
export async function loadAcceleratorProfile(nameOrPath: string): Promise<AcceleratorProfile> {
  return parseAcceleratorProfile(await readProfile(nameOrPath, "accelerator"), nameOrPath);
}

/** `where` names the file in errors. @throws Failure `profile/invalid`; its detail has `problems`, one text each. */
export function parseProfile(text: string, where: string): DeviceProfile {
  return checked(deviceProfile, parseJson(text, where, "profile/invalid"), where);
}

/** @throws Failure `profile/invalid` */
export function parseAcceleratorProfile(text: string, where: string): AcceleratorProfile {
  return checked(acceleratorProfile, parseJson(text, where, "profile/invalid"), where);
}

/** Of either kind, as its `kind` says. @throws Failure `profile/invalid` */
export function parseAnyProfile(text: string, where: string): Profile {
  const value = parseJson(text, where, "profile/invalid");
  const kind = typeof value === "object" && value !== null && "kind" in value ? value.kind : undefined;
  return kind === "accelerator" ? checked(acceleratorProfile, value, where) : checked(deviceProfile, value, where);
}

/** The text of a shipped profile or of a file. @throws Failure `profile/unknown` or `input/missing` */
export async function readProfile(nameOrPath: string, kind?: Profile["kind"]): Promise<string> {
  const shipped = NAME.test(nameOrPath);
  try {
    return await readFile(shipped ? asset(`${FOLDER}${nameOrPath}.json`) : nameOrPath, "utf8");
  } catch (cause) {
    if (!shipped) throw new Failure("input/missing", `cannot read ${nameOrPath}: ${messageOf(cause)}`, {}, cause);
    const names = (await profileNames(kind)).join(", ");
    throw new Failure("profile/unknown", `no profile ${nameOrPath}: use one of ${names}, or a path such as ./my.json`);
  }
}

/** The shipped profiles in alphabetical order, all or of one kind. */
export async function profileNames(kind?: Profile["kind"]): Promise<string[]> {
  const files = (await readdir(asset(FOLDER))).filter((file) => file.endsWith(".json")).sort();
  const names = files.map((file) => basename(file, ".json"));
  if (!kind) return names;
  const kinds = await Promise.all(names.map(async (name) => parseAnyProfile(await readProfile(name), name).kind));
  return names.filter((_, i) => kinds[i] === kind);
}

/** Numbers of the profile that `sources` does not account for, as dotted paths. A source covers all below its path. */
export function withoutSource(profile: Profile): string[] {
  const covered = Object.keys(profile.sources);
  return numbersIn(profile).filter(
    (path) => !covered.some((source) => path === source || path.startsWith(`${source}.`)),
  );
}

/** Sources for something that the profile does not have. */
export function withoutValue(profile: Profile): string[] {
  return Object.keys(profile.sources).filter((path) => valueAt(profile, path) === undefined);
}

function checked<T>(schema: z.ZodMiniType<T>, value: unknown, where: string): T {
  const result = schema.safeParse(value);
  const problems = result.success
    ? contradictions(result.data as Profile)
    : result.error.issues.map((issue) => describeIssues("profile", value, [issue]));
  if (result.success && problems.length === 0) return result.data;
  throw new Failure("profile/invalid", `${where}: ${problems.join("; ")}`, { where, problems });
}

/** What each number allows and all together do not. */
function contradictions(profile: Profile): string[] {
  if (profile.kind === "accelerator") return [...tooLongForFrames(profile), ...tooNarrow(profile)];
  const { memory, drift, quantization, energy } = profile;
  const used = memory.weightBytes + memory.arenaBytes;
  return [
    ...(used > memory.totalBytes
      ? [`profile.memory: expected weightBytes + arenaBytes of at most totalBytes ${memory.totalBytes}, found ${used}`]
      : []),
    ...(drift.healthyAbovePct < drift.recalibrateBelowPct
      ? [
          `profile.drift.healthyAbovePct: expected at least recalibrateBelowPct ${drift.recalibrateBelowPct}, ` +
            `found ${drift.healthyAbovePct}`,
        ]
      : []),
    ...(quantization.budget && "microjoules" in quantization.budget && energy === undefined
      ? ["profile.energy: expected with a budget of microjoules, found nothing"]
      : []),
  ];
}

/** One vector and its sums, of 4 bytes each, must fit in a frame; 5 bytes go to other fields. */
function tooLongForFrames({ array, link }: AcceleratorProfile): string[] {
  const needed = Math.max(array.rows, 4 * array.columns) + 5;
  return needed > link.mtu ? [`profile.link.mtu: expected at least ${needed} for such tiles, found ${link.mtu}`] : [];
}

/** What one row's codes of all planes add up to, as read-back and self-test ask for it, must fit in the accumulator. */
function tooNarrow({ array, converter }: AcceleratorProfile): string[] {
  const needed = Math.max(1, converter.bits) + array.weightBits;
  const { accumulatorBits } = converter;
  return needed > accumulatorBits
    ? [`profile.converter.accumulatorBits: expected at least ${needed} for such weights, found ${accumulatorBits}`]
    : [];
}

function numbersIn(value: object, path = ""): string[] {
  return Object.entries(value).flatMap(([key, inner]) => {
    const at = path === "" ? key : `${path}.${key}`;
    if (typeof inner === "number") return [at];
    return typeof inner === "object" && inner !== null ? numbersIn(inner, at) : [];
  });
}

function valueAt(value: unknown, path: string): unknown {
  return path.split(".").reduce<unknown>((inner, key) => (inner as Record<string, unknown> | undefined)?.[key], value);
}
