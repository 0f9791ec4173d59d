import type { AcceleratorProfile } from "../../../device-profiles/accelerator.ts";
import type { DeviceProfile } from "../../../device-profiles/device.ts";
import { isLayer, macs } from "../../../runtime/model/graph.ts";
import type { PolarizedModel } from "../../../runtime/model/stages.ts";
import { energyOf, totalPj } from "../../../runtime/plan/energy.ts";
import type { EnergyReport } from "./report.ts";

/** By the models of the device and, for layers that it holds, of an accelerator. */
export function energyReport(
  model: PolarizedModel,
  { energy: profile }: Pick<DeviceProfile, "energy">,
  accelerator?: Pick<AcceleratorProfile, "energy">,
): EnergyReport | null {
  if (!profile) return null;
  const energy = energyOf(model, profile, accelerator?.energy);
  const total = totalPj(energy);
  const operations = 2 * model.graph.nodes.filter(isLayer).reduce((sum, layer) => sum + macs(layer), 0);
  return {
    microjoules: total / 1e6,
    mainMicrojoules: energy.mainPj / 1e6,
    surrogateMicrojoules: energy.surrogatePj / 1e6,
    bytesMicrojoules: energy.bytesPj / 1e6,
    teraOpsPerWatt: operations / total,
  };
}
