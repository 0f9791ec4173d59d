import { existsSync } from "node:fs";
import { asset } from "../../runtime/base/assets.ts";

/** A file of the real models and data beside the project, or `undefined`, said once, where they aren't. */
export function sharedData(path: string): URL | undefined {
  const folder = asset("../shared/data/");
  if (existsSync(folder)) return new URL(path, folder);
  if (!told) process.stdout.write("skipped: ../shared/data is not here\n");
  told = true;
  return undefined;
}

let told = false;
