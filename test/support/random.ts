import { gaussian } from "../../runtime/base/random.ts";

/** The same "random" numbers on every machine, so a failure can be looked at again. */
export function normals(length: number, seed: number): Float32Array {
  const next = gaussian(seed);
  return Float32Array.from({ length }, next);
}
