import { families, mayBeExact } from "../../runtime/kernels/family.ts";
import type { LoadKernels } from "../../runtime/kernels/kernels.ts";
import { loadFamily } from "../../runtime/kernels/wasm.ts";

/** Every build of the kernels that this engine can run, whether this machine would choose it or not. */
export async function allWasm(): Promise<LoadKernels[]> {
  const loads = await Promise.all(families.filter(mayBeExact).map(loadFamily));
  return loads.filter((load) => load !== undefined);
}
