/**
 * The library: what `import ... from "polaredge"` gives. The command line and the agent are built from the same parts.
 */
import type { loadProfile as LoadProfile } from "../device-profiles/profiles.ts";
import type { importModel as ImportModel } from "./model/import.ts";
import type { FloatModel } from "./model/stages.ts";
import type { prepare as Prepare } from "./polarize/prepare.ts";

export type { DeviceProfile } from "../device-profiles/device.ts";
export { Failure, type FailureCode, isFailure } from "./base/failure.ts";
export type { FloatModel, FormatName, PolarizedModel } from "./model/stages.ts";
export { type OpenModelOptions, openModel } from "./open-model.ts";
export { type OpenOptions, openPlan } from "./plan/open.ts";
export { Runner } from "./plan/run.ts";
export type { PrepareJob, Progress } from "./polarize/prepare.ts";
export { decodeModel, encodeModel } from "./quantize/file.ts";
export { decodeNpy, encodeNpy } from "./tensor/npy.ts";
export type { Tensor } from "./tensor/tensor.ts";

// Loaded when they are called: a program that only opens models starts without them.
export const prepare: typeof Prepare = async (...job) => (await import("./polarize/prepare.ts")).prepare(...job);
export const importModel = async (...model: Parameters<typeof ImportModel>): Promise<FloatModel> =>
  (await import("./model/import.ts")).importModel(...model);
export const loadProfile: typeof LoadProfile = async (name) =>
  (await import("../device-profiles/profiles.ts")).loadProfile(name);
