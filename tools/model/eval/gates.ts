import { entry } from "../../../runtime/base/entry.ts";
import { macs } from "../../../runtime/model/graph.ts";
import type { PolarizedModel } from "../../../runtime/model/stages.ts";
import { openPlan } from "../../../runtime/plan/open.ts";
import {
  type Gate,
  type GatedLayer,
  quantileGate,
  type SeenProducts,
  safeGate,
} from "../../../runtime/polarize/gate.ts";
import { forUnit, GatedUnit, gatedLayers } from "../../../runtime/polarize/gated-unit.ts";
import type { Calibration } from "../../../runtime/polarize/polarize.ts";
import type { Report } from "../../../runtime/polarize/prepare.ts";
import { joined } from "../../../runtime/tensor/tensor.ts";
import { answersThrough } from "./analog.ts";
import { type Measure, score } from "./measure.ts";
import type { GateReport } from "./report.ts";

export interface GateOptions {
  /** Bits of each code that are multiplied first; without it nothing is gated. */
  readonly gate?: number;
  /** By how much the divergence from the float model (or the output error) may grow on the calibration samples. */
  readonly gateBudget?: number;
}

/** Shares of outputs that are left at their high bits, layer by layer alike. */
const SHARES: readonly number[] = [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1];

/** Precision Gating of the layers before a relu: without any change of answers, and within a budget. */
export async function evaluateGates(
  { gate: highBits, gateBudget = 0.005 }: GateOptions,
  model: PolarizedModel,
  calibration: Calibration,
  measure: Measure,
  report: Report,
): Promise<GateReport | null> {
  if (highBits === undefined) return null;
  const trial = new GateTrial(model, calibration, measure, report);
  const safe = await trial.measured(trial.safe(highBits));
  const { share, gates } = await trial.within(gateBudget, highBits);
  return { highBits, safe, budget: { ...(await trial.measured(gates)), share } };
}

/** One for each gated layer. */
export type Gates = ReadonlyMap<string, Gate>;

class GateTrial {
  readonly #layers: readonly GatedLayer[];
  readonly #model: PolarizedModel;
  readonly #calibration: Calibration;
  readonly #measure: Measure;
  readonly #report: Report;

  constructor(model: PolarizedModel, calibration: Calibration, measure: Measure, report: Report) {
    this.#layers = gatedLayers(model);
    this.#model = forUnit(model, this.#layers);
    this.#calibration = calibration;
    this.#measure = measure;
    this.#report = report;
  }

  safe(highBits: number): Gates {
    return safeGates(this.#layers, highBits);
  }

  async measured(gates: Gates): Promise<GateReport["safe"]> {
    const { answers, unit } = await this.#run(gates, this.#measure.samples.data, this.#measure.samples.shape[0]);
    return { score: this.#measure.score(answers), ...this.#savings(unit, gates) };
  }

  /** The greatest share whose answers on the calibration samples stay within the budget; 0 if none does. */
  async within(budget: number, highBits: number): Promise<{ share: number; gates: Gates }> {
    const { graph } = this.#model;
    const { observed, samples } = this.#calibration;
    const inputs = entry(observed, graph.input.name);
    const truth = entry(observed, graph.output);
    const cost = async (gates: Gates): Promise<number> => {
      const { answers } = await this.#run(gates, inputs, samples);
      const { divergence, outputError } = score(answers, truth, samples, undefined);
      return divergence ?? outputError;
    };
    const seen = await seenProducts(this.#layers, highBits, (gates) => this.#run(gates, inputs, samples));
    const gatesFor = (share: number): Gates => quantileGates(this.#layers, seen, share, highBits);
    const least = await cost(gatesFor(0));
    for (const share of SHARES) {
      if ((await cost(gatesFor(share))) <= least + budget) return { share, gates: gatesFor(share) };
    }
    return { share: 0, gates: gatesFor(0) };
  }

  async #run(gates: Gates, inputs: Float32Array, count: number): Promise<{ answers: Float32Array; unit: GatedUnit }> {
    const unit = new GatedUnit(this.#model, gates, this.#calibration.kernels);
    const runner = await openPlan(this.#model, { unit });
    const answers = await answersThrough(runner, inputs, count, this.#report);
    return { answers, unit };
  }

  /** Low bits that nobody multiplied, of all bits of all layers' codes: output by output, and whole vectors only. */
  #savings({ savings }: GatedUnit, gates: Gates): Omit<GateReport["safe"], "score"> {
    let [all, outputs, vectors] = [0, 0, 0];
    const layers = this.#layers.map(({ node }) => {
      const { outputs: of, skipped, vectors: ofVectors, skippedVectors } = entry(savings, node.name);
      const low = (8 - entry(gates, node.name).highBits) / 8;
      all += macs(node);
      outputs += (macs(node) * low * skipped) / of;
      vectors += (macs(node) * low * skippedVectors) / ofVectors;
      return { layer: node.name, sparsity: skipped / of, vectorSparsity: skippedVectors / ofVectors };
    });
    return { layers, savedPct: (100 * outputs) / all, savedByVectorsPct: (100 * vectors) / all };
  }
}

export function safeGates(layers: readonly GatedLayer[], highBits: number): Gates {
  return new Map(layers.map((layer) => [layer.node.name, safeGate(layer, highBits)]));
}

/** @param share of the outputs of each column that are held back */
export function quantileGates(
  layers: readonly GatedLayer[],
  seen: ReadonlyMap<string, SeenProducts>,
  share: number,
  highBits: number,
): Gates {
  return new Map(
    layers.map(({ node: { name, columns } }) => [name, quantileGate(entry(seen, name), columns, share, highBits)]),
  );
}

/** What gates get to see in a run, if none holds anything back, and what it becomes with the low bits. */
export async function seenProducts(
  layers: readonly GatedLayer[],
  highBits: number,
  run: (gates: Gates) => Promise<unknown>,
): Promise<ReadonlyMap<string, SeenProducts>> {
  const high = await recorded(layers, highBits, run);
  const whole = await recorded(layers, 8, run);
  return new Map([...high].map(([name, products]) => [name, { high: products, whole: entry(whole, name) }]));
}

async function recorded(
  layers: readonly GatedLayer[],
  highBits: number,
  run: (gates: Gates) => Promise<unknown>,
): Promise<Map<string, Float32Array>> {
  const seen = new Map<string, Float32Array[]>();
  const recorder = ({ node: { name, columns } }: GatedLayer): Gate => ({
    highBits,
    usual: new Float32Array(columns),
    needed: (_, high) => {
      seen.set(name, [...(seen.get(name) ?? []), high.slice()]);
      return new Uint8Array(high.length).fill(1);
    },
  });
  await run(new Map(layers.map((layer) => [layer.node.name, recorder(layer)])));
  return new Map([...seen].map(([name, parts]) => [name, joined(parts)]));
}
