import { entry } from "../../runtime/base/entry.ts";
import type { MatmulUnit } from "../../runtime/plan/unit.ts";
import type { Gate } from "../../runtime/polarize/gate.ts";
import type { AcceleratorUnit } from "./accelerator.ts";
import type { PlaneSavings } from "./products.ts";

/** An accelerator whose layers have gates, and what these save. Layers without a gate are read whole. */
export class GatedAccelerator implements MatmulUnit {
  readonly savings: ReadonlyMap<string, PlaneSavings>;
  readonly #unit: AcceleratorUnit;
  readonly #gates: ReadonlyMap<string, Gate>;

  constructor(unit: AcceleratorUnit, gates: ReadonlyMap<string, Gate>) {
    this.#unit = unit;
    this.#gates = gates;
    this.savings = new Map(
      [...gates.keys()].map((name) => [name, { planes: 0, skippedPlanes: 0, outputs: 0, heldBack: 0 }]),
    );
  }

  get name(): string {
    return this.#unit.name;
  }

  get uid(): string {
    return this.#unit.uid;
  }

  get layers(): ReadonlySet<string> {
    return this.#unit.layers;
  }

  get tilesUsed(): number {
    return this.#unit.tilesUsed;
  }

  /** @throws Failure `plan/unsupported` for a gate where empty input planes are converted, too: it would save nothing */
  async multiply(layer: string, inputs: Uint8Array, count: number): Promise<Float32Array> {
    const gate = this.#gates.get(layer);
    const gated = gate && { gate, savings: entry(this.savings, layer) };
    return this.#unit.multiply(layer, inputs, count, gated);
  }

  async nominal(layer: string): Promise<Float32Array> {
    return this.#unit.nominal(layer);
  }
}
