import type { AcceleratorProfile } from "../../device-profiles/accelerator.ts";
import type { EnergyProfile } from "../../device-profiles/device.ts";
import { entry } from "../base/entry.ts";
import { isLayer, type Layer, macs, positions } from "../model/graph.ts";
import type { PolarizedModel } from "../model/stages.ts";
import { correctionBytes, digitalBytes } from "./weight-bytes.ts";

/**
 * What an inference takes, by the models that the profiles have: picojoules, never measured. Of layers alone; what
 * activations, the other nodes and the link to an accelerator take is not in it.
 */
export interface Energy {
  readonly mainPj: number;
  readonly surrogatePj: number;
  /** Of bringing codes, scales and factors to where they are multiplied. */
  readonly bytesPj: number;
}

/** Of a layer computed digitally, of which `bytes` are stored: each of them is read once per inference. */
export function digitalEnergy(
  layer: Layer,
  { rank, bytes }: { readonly rank: number; readonly bytes: number },
  { macPj, surrogateMacPj, bytePj }: EnergyProfile,
): Energy {
  return {
    mainPj: macs(layer) * macPj,
    surrogatePj: surrogateMacs(layer, rank) * surrogateMacPj,
    bytesPj: bytes * bytePj,
  };
}

/** Of the low-rank path of an inference: two factors, rows x rank and rank x columns, at each position. */
export function surrogateMacs(layer: Layer, rank: number): number {
  return positions(layer) * rank * (layer.rows + layer.columns);
}

/** Of all layers; those that an accelerator holds, if `analog` says what it takes, on its tiles: their weights stay there. */
export function energyOf(
  { graph, layers }: PolarizedModel,
  profile: EnergyProfile,
  analog?: AcceleratorProfile["energy"],
): Energy {
  const each = graph.nodes.filter(isLayer).map((layer): Energy => {
    const { accelerator, digital, ...stored } = entry(layers, layer.name);
    if (!analog || !accelerator) {
      const bytes = digitalBytes({ digital, ...stored });
      return digitalEnergy(layer, { rank: digital.surrogate?.rank ?? 0, bytes }, profile);
    }
    const rank = accelerator.surrogate?.rank ?? 0;
    const macPj = 2e-3 * analog.operationFj;
    return digitalEnergy(layer, { rank, bytes: correctionBytes(layer, rank) }, { ...profile, macPj });
  });
  return each.reduce((sum, one) => ({
    mainPj: sum.mainPj + one.mainPj,
    surrogatePj: sum.surrogatePj + one.surrogatePj,
    bytesPj: sum.bytesPj + one.bytesPj,
  }));
}

export function totalPj({ mainPj, surrogatePj, bytesPj }: Energy): number {
  return mainPj + surrogatePj + bytesPj;
}
