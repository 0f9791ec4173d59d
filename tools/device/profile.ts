import { basename } from "node:path";
import type { AcceleratorProfile } from "../../device-profiles/accelerator.ts";
import type { DeviceProfile } from "../../device-profiles/device.ts";
import {
  loadAcceleratorProfile,
  loadProfile,
  type Profile,
  parseAnyProfile,
  profileNames,
  readProfile,
  withoutSource,
  withoutValue,
} from "../../device-profiles/profiles.ts";
import { isFailure, messageOf } from "../../runtime/base/failure.ts";
import { EXIT } from "../cli/exit.ts";
import { bytes, table } from "../cli/table.ts";

export interface ProfileOptions {
  readonly json?: boolean;
}

type Print = (text: string) => void;

/** What a check found. Problems make a profile unusable; notes do not. */
interface Verdict {
  readonly file: string;
  readonly kind: Profile["kind"] | null;
  readonly problems: readonly string[];
  readonly notes: readonly string[];
}

/** `polaredge profile check FILE` (or the name of a shipped profile). Returns the exit code. */
export async function checkProfile(file: string, options: ProfileOptions, print: Print = console.log): Promise<number> {
  const verdict = await judge(file);
  print(options.json ? JSON.stringify(verdict) : verdictText(verdict));
  return verdict.problems.length === 0 ? EXIT.ok : EXIT.badInput;
}

/** `polaredge profile list`: the profiles that come with the product. Returns the exit code. */
export async function listProfiles(options: ProfileOptions, print: Print = console.log): Promise<number> {
  const devices = await Promise.all((await profileNames("device")).map(loadProfile));
  const accelerators = await Promise.all((await profileNames("accelerator")).map(loadAcceleratorProfile));
  print(
    options.json
      ? JSON.stringify({ devices, accelerators })
      : `${deviceTable(devices)}\n\n${acceleratorTable(accelerators)}`,
  );
  return EXIT.ok;
}

async function judge(file: string): Promise<Verdict> {
  try {
    const profile = parseAnyProfile(await readProfile(file), file);
    return { file, kind: profile.kind, problems: [], notes: notesOn(profile, file) };
  } catch (error) {
    if (!isFailure(error)) throw error;
    const problems = error.detail.problems as string[] | undefined;
    return { file, kind: null, problems: problems ?? [messageOf(error)], notes: [] };
  }
}

function notesOn(profile: Profile, file: string): string[] {
  const missing = withoutSource(profile).map((path) => `no source says where ${path} comes from`);
  const stale = withoutValue(profile).map((path) => `sources.${path} is about nothing in the profile`);
  const sameName = basename(file, ".json") === profile.name;
  return [...missing, ...stale, ...(sameName ? [] : [`its name is ${profile.name}, its file's is ${basename(file)}`])];
}

function verdictText({ file, kind, problems, notes }: Verdict): string {
  const lines = [...problems, ...notes.map((note) => `note: ${note}`)];
  const head = kind ? `${file}: a valid ${kind} profile` : `${file}: not a usable profile`;
  return [head, ...lines.map((line) => `  ${line}`)].join("\n");
}

function deviceTable(devices: readonly DeviceProfile[]): string {
  return table(
    [
      { title: "device" },
      { title: "cores", align: "right" },
      { title: "MHz", align: "right" },
      { title: "memory", align: "right" },
      { title: "weights", align: "right" },
      { title: "arena", align: "right" },
      { title: "format" },
      { title: "rank", align: "right" },
    ],
    devices.map(({ name, cpu, memory, quantization, surrogate }) => [
      name,
      String(cpu.cores),
      String(cpu.clockMhz),
      bytes(memory.totalBytes),
      bytes(memory.weightBytes),
      bytes(memory.arenaBytes),
      quantization.weights,
      String(surrogate.rank),
    ]),
  );
}

function acceleratorTable(accelerators: readonly AcceleratorProfile[]): string {
  return table(
    [
      { title: "accelerator" },
      { title: "tiles", align: "right" },
      { title: "array", align: "right" },
      { title: "weight bits", align: "right" },
      { title: "ADC bits", align: "right" },
      { title: "cells" },
      { title: "baud", align: "right" },
    ],
    accelerators.map(({ name, array, converter, cells, link }) => [
      name,
      String(array.tiles),
      `${array.rows} x ${array.columns}`,
      String(array.weightBits),
      converter.bits === 0 ? "exact" : String(converter.bits),
      cells.model,
      String(link.baudRate),
    ]),
  );
}
