import { entry } from "../../base/entry.ts";
import { Failure } from "../../base/failure.ts";
import { isLayer, type Layer, positions } from "../../model/graph.ts";
import { digitalEnergy, totalPj } from "../../plan/energy.ts";
import { formats } from "../../quantize/formats.ts";
import type { Budget } from "../../quantize/quantize.ts";
import type { Calibration } from "../polarize.ts";
import type { Latency } from "./latency.ts";
import type { LayerOption } from "./sensitivity.ts";

/** How what is counted against a budget adds up over the layers. */
export interface Pricing {
  /** Whether ranks are chosen as well, because low-rank paths count, too. */
  readonly ranked: boolean;
  /** Of the options' costs in one unit of the budget. */
  readonly scale: number;
  /** What no option changes. */
  readonly rest: number;
  /** A whole number. */
  costOf(option: LayerOption): number;
  /** Of units of the budget. */
  text(amount: number): string;
}

type KindOf<B> = B extends unknown ? keyof B : never;
export type BudgetKind = KindOf<Budget>;

/** Bits of the numbers that are multiplied: activations, and all that the low-rank path has. */
const ACTIVATION_BITS = 8;
const SURROGATE_BITS = 32;

/** One row for each kind of budget. */
const pricings: Readonly<
  Record<BudgetKind, (calibration: Calibration, latencyOf: (of: Calibration) => Latency) => Pricing>
> = {
  bitsPerWeight({ float }) {
    const weights = [...float.weights.values()].reduce((sum, layer) => sum + layer.weights.length, 0);
    return {
      ranked: false,
      scale: weights,
      rest: 0,
      costOf: ({ weightBits }) => weightBits,
      text: (amount) => `${amount.toFixed(2)} bits each`,
    };
  },
  bytes: () => ({
    ranked: true,
    scale: 1,
    rest: 0,
    costOf: ({ bytes }) => bytes,
    text: (amount) => `${amount} bytes`,
  }),
  /** OHQ (arXiv 2309.01945): what this very device takes, in nanoseconds. */
  microseconds(calibration, latencyOf) {
    const { rest, of } = latencyOf(calibration);
    return {
      ranked: true,
      scale: 1000,
      rest,
      costOf: (option) => of(option.layer, option),
      text: (amount) => `${amount.toFixed(1)} µs`,
    };
  },
  /** By the profile's model, in nanojoules. */
  microjoules({ float, energy }) {
    if (!energy) {
      throw new Failure("profile/invalid", "a budget of energy needs a profile with a model of it: profile.energy");
    }
    const layerOf = layersOf(float.graph.nodes.filter(isLayer));
    return {
      ranked: true,
      scale: 1000,
      rest: 0,
      costOf: (option) => Math.ceil(totalPj(digitalEnergy(layerOf(option), option, energy)) / 1000),
      text: (amount) => `${amount.toFixed(1)} µJ (modelled)`,
    };
  },
  /** Products of single bits, HGQ's cost (arXiv 2405.00645): for hardware whose multipliers are as wide as the numbers. */
  bitOperations({ float }) {
    const layerOf = layersOf(float.graph.nodes.filter(isLayer));
    return {
      ranked: true,
      scale: 1,
      rest: 0,
      costOf: (option) => bitOperations(layerOf(option), { ...option, bits: formats[option.format].bits }),
      text: (amount) => `${(amount / 1e6).toFixed(1)} million bit operations`,
    };
  },
};

export function pricingOf(
  budget: Budget,
  calibration: Calibration,
  latencyOf: (of: Calibration) => Latency,
): Pricing & { readonly budget: number } {
  const [[kind, amount]] = Object.entries(budget) as [BudgetKind, number][];
  return { ...pricings[kind](calibration, latencyOf), budget: amount };
}

/**
 * Of a layer whose weights have so many bits, and none in pruned columns, and of its low-rank path: activations by A, what
 * that gives by B.
 */
export function bitOperations(
  layer: Layer,
  { bits, rank, pruned }: Pick<LayerOption, "rank" | "pruned"> & { readonly bits: number },
): number {
  const main = layer.rows * (layer.columns - pruned.length) * bits * ACTIVATION_BITS;
  const path = rank * SURROGATE_BITS * (layer.rows * ACTIVATION_BITS + layer.columns * SURROGATE_BITS);
  return positions(layer) * (main + path);
}

function layersOf(layers: readonly Layer[]): (option: LayerOption) => Layer {
  const byName = new Map(layers.map((layer) => [layer.name, layer]));
  return ({ layer }) => entry(byName, layer);
}
