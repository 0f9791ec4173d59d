import type { DeviceProfile } from "../../device-profiles/device.ts";
import { Failure } from "../base/failure.ts";
import { peakOf } from "./peak.ts";
import type { Plan } from "./plan.ts";

/** How many of the greatest tensors a refusal names. */
const NAMED = 4;

/**
 * Refuses a plan that the device has no room for.
 * @throws Failure plan/does-not-fit: which tensors or layers take the room, and what to change
 */
export function assertFits(plan: Plan, profile: DeviceProfile): void {
  const { arenaBytes, weightBytes } = profile.memory;
  if (plan.arenaBytes > arenaBytes) {
    const { node, alive } = peakOf(plan.graph, plan.memory);
    const tensors = alive.slice(0, NAMED).map(({ name, bytes }) => `${name} ${kib(bytes)}`);
    throw new Failure(
      "plan/does-not-fit",
      `${plan.graph.name}: activations need ${kib(plan.arenaBytes)}, profile ${profile.name} has ${kib(arenaBytes)}. ` +
        `The peak is at ${node}: ${tensors.join(", ")}. ` +
        "Use a smaller input, a larger stride before that node, or a profile with more memory.arenaBytes.",
      { needed: plan.arenaBytes, available: arenaBytes, peak: node, tensors },
    );
  }
  if (plan.weightBytes > weightBytes) {
    throw new Failure(
      "plan/does-not-fit",
      `${plan.graph.name}: weights need ${kib(plan.weightBytes)}, profile ${profile.name} has ${kib(weightBytes)}. ` +
        "Use quantization.weights nf4, a lower surrogate.rank, or a profile with more memory.weightBytes.",
      { needed: plan.weightBytes, available: weightBytes },
    );
  }
}

function kib(bytes: number): string {
  return `${(bytes / 1024).toFixed(1)} KiB`;
}
