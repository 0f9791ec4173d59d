/**
 * The library: what `import ... from "polaredge"` gives. The command line and the agent are built from the same parts.
 */
export type { DeviceProfile } from "../device-profiles/device.ts";
export { loadProfile } from "../device-profiles/profiles.ts";
export { Failure, type FailureCode, isFailure } from "./base/failure.ts";
export { importModel } from "./model/import.ts";
export type { FloatModel, FormatName, PolarizedModel } from "./model/stages.ts";
export { type OpenModelOptions, openModel } from "./open-model.ts";
export { type OpenOptions, openPlan } from "./plan/open.ts";
export { Runner } from "./plan/run.ts";
export { type PrepareJob, type Progress, prepare } from "./polarize/prepare.ts";
export { decodeModel, encodeModel } from "./quantize/file.ts";
export { decodeNpy, encodeNpy } from "./tensor/npy.ts";
export type { Tensor } from "./tensor/tensor.ts";
