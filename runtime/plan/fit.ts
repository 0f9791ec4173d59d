import type { DeviceProfile } from "../../device-profiles/device.ts";
import { Failure } from "../base/failure.ts";
import type { Placement, Plan } from "./plan.ts";

/** How many of the greatest tensors a refusal names. */
const NAMED = 4;

/**
 * Refuses a plan that the device has no room for.
 * @throws Failure plan/does-not-fit: which tensors or layers take the room, and what to change
 */
export function assertFits(plan: Plan, profile: DeviceProfile): void {
  const { arenaBytes, weightBytes } = profile.memory;
  if (plan.arenaBytes > arenaBytes) {
    const at = peakOf(plan);
    const alive = aliveAt(plan, at).sort((a, b) => b.bytes - a.bytes);
    const tensors = alive.slice(0, NAMED).map(({ name, bytes }) => `${name} ${kib(bytes)}`);
    throw new Failure(
      "plan/does-not-fit",
      `${plan.graph.name}: activations need ${kib(plan.arenaBytes)}, profile ${profile.name} has ${kib(arenaBytes)}. ` +
        `The peak is at ${nodeAt(plan, at)}: ${tensors.join(", ")}. ` +
        "Use a smaller input, a larger stride before that node, or a profile with more memory.arenaBytes.",
      { needed: plan.arenaBytes, available: arenaBytes, peak: nodeAt(plan, at), tensors },
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

/** The time (see lifetimesOf) at which most bytes are alive. */
function peakOf(plan: Plan): number {
  const times = plan.memory.map(({ first }) => first);
  const aliveBytes = (at: number): number => aliveAt(plan, at).reduce((sum, { bytes }) => sum + bytes, 0);
  return times.reduce((best, at) => (aliveBytes(at) > aliveBytes(best) ? at : best), 0);
}

function aliveAt(plan: Plan, at: number): Placement[] {
  return plan.memory.filter(({ first, last }) => first <= at && at <= last);
}

function nodeAt(plan: Plan, at: number): string {
  return plan.graph.nodes[at - 1]?.name ?? (at === 0 ? "the input" : "the output");
}

function kib(bytes: number): string {
  return `${(bytes / 1024).toFixed(1)} KiB`;
}
