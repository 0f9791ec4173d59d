import { entry } from "../../runtime/base/entry.ts";
import { type MatmulUnit, multiplyingBy } from "../../runtime/plan/unit.ts";
import type { Gate } from "../../runtime/polarize/gate.ts";
import type { AcceleratorUnit } from "./accelerator.ts";
import type { PlaneSavings } from "./products.ts";

/** An accelerator whose layers have gates, and what these save. */
export interface GatedAccelerator {
  /** Layers without a gate are read whole. It throws Failure `plan/unsupported` for a gate where empty input planes are converted, too: it would save nothing. */
  readonly unit: MatmulUnit;
  readonly savings: ReadonlyMap<string, PlaneSavings>;
}

export function gatedAccelerator(unit: AcceleratorUnit, gates: ReadonlyMap<string, Gate>): GatedAccelerator {
  const savings = new Map(
    [...gates.keys()].map((name) => [name, { planes: 0, skippedPlanes: 0, outputs: 0, heldBack: 0 }]),
  );
  const gated = multiplyingBy(unit, async (layer, inputs, count) => {
    const gate = gates.get(layer);
    return unit.multiply(layer, inputs, count, gate && { gate, savings: entry(savings, layer) });
  });
  return { unit: gated, savings };
}
