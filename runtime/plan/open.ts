import type { DeviceProfile } from "../../device-profiles/device.ts";
import type { LoadKernels } from "../kernels/kernels.ts";
import { loadWasm } from "../kernels/wasm.ts";
import type { PolarizedModel } from "../model/stages.ts";
import { compile } from "./compile.ts";
import { assertFits } from "./fit.ts";
import { Runner, type RunnerOptions } from "./run.ts";

export interface OpenOptions extends RunnerOptions {
  /** Refuse a plan that does not fit this device. */
  readonly profile?: DeviceProfile;
  readonly kernels?: LoadKernels;
}

/**
 * From a prepared model to one that answers.
 * @throws Failure plan/does-not-fit, plan/unsupported
 */
export async function openPlan(model: PolarizedModel, options: OpenOptions = {}): Promise<Runner> {
  const plan = compile(model, options.unit?.layers);
  if (options.profile) assertFits(plan, options.profile);
  return new Runner(plan, options.kernels ?? (await loadWasm()), options);
}
