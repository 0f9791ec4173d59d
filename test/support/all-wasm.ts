import { families, isExact } from "../../runtime/kernels/family.ts";
import type { LoadKernels } from "../../runtime/kernels/kernels.ts";
import { loadFamily } from "../../runtime/kernels/wasm.ts";

/** Every build of the kernels that is exact on this machine, whether it would be chosen or not. */
export async function allWasm(): Promise<LoadKernels[]> {
  const loads = await Promise.all(families.map(loadFamily));
  return loads.filter((load) => load !== undefined).filter(isExact);
}
