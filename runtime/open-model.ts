import { readFileSync } from "node:fs";
import { openPlan } from "./plan/open.ts";
import type { Runner } from "./plan/run.ts";
import { decodeModel } from "./quantize/file.ts";

export interface OpenModelOptions {
  /** Refuse the model if it does not fit this device: a profile's name or file. */
  readonly profile?: string;
}

/**
 * Opens a prepared model (.polar) for inference in this process.
 * @throws Failure model/malformed, model/version, plan/does-not-fit
 */
export async function openModel(path: string, { profile }: OpenModelOptions = {}): Promise<Runner> {
  // Reading at once takes less time than loading node:fs/promises.
  const model = decodeModel(readFileSync(path));
  if (profile === undefined) return openPlan(model);
  // What checks profiles takes longer to load than all the rest.
  const { loadProfile } = await import("../device-profiles/profiles.ts");
  return openPlan(model, { profile: await loadProfile(profile) });
}
