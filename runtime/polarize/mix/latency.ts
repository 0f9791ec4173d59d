import { systemClock } from "../../base/clock.ts";
import { entry } from "../../base/entry.ts";
import { isLayer, type Layer, type Node } from "../../model/graph.ts";
import type { PolarizedLayer } from "../../model/stages.ts";
import { quantizeMatrix } from "../../quantize/format.ts";
import { formats } from "../../quantize/formats.ts";
import type { LayerPolicy } from "../../quantize/quantize.ts";
import { rangesOf } from "../../quantize/ranges.ts";
import { isolated } from "../isolated.ts";
import type { Calibration } from "../polarize.ts";

/** What inferences take on this very device, with the kernels that will serve: OHQ's cost (arXiv 2309.01945). Nanoseconds. */
export interface Latency {
  /** Of everything that is no layer. */
  readonly rest: number;
  of(layer: string, policy: LayerPolicy): number;
}

/** What is timed runs so often, each time for so long that the clock is exact enough; other work only ever adds time. */
const TIMES = 20;
const AT_LEAST_MS = 0.5;
/** Until then V8 has optimized what calls the kernels: without it the first step that is timed takes five times as long. */
const WARM_UP_MS = 5;

export function latencyOf(
  { float, observed, kernels }: Calibration,
  nowMs: () => number = systemClock.uptimeMs,
): Latency {
  const { graph } = float;
  const ranges = rangesOf(graph, observed);
  let cold = true;
  const timed = (node: Node, layer?: PolarizedLayer): number => {
    const { step, memory } = isolated(node, layer, graph, ranges);
    if (step === undefined) return 0;
    const run = kernels(memory.bytes).bind(step);
    if (cold) meanMs(run, WARM_UP_MS, nowMs);
    cold = false;
    return fastest(run, nowMs);
  };
  const layers = graph.nodes.filter(isLayer);
  const byName = new Map(layers.map((layer) => [layer.name, layer]));
  const known = new Map<string, number>();
  return {
    rest: graph.nodes.filter((node) => !isLayer(node)).reduce((sum, node) => sum + timed(node), 0),
    of(name, policy) {
      const layer = entry(byName, name);
      const form = `${name} ${blocksOf(layer, policy)} ${policy.rank}`;
      const time = known.get(form) ?? timed(layer, standIn(layer, entry(float.weights, name).weights, policy));
      known.set(form, time);
      return time;
    },
  };
}

/** Every format's codes are multiplied in eight bits, so the number of blocks and the rank are all that makes a difference. */
function blocksOf({ rows }: Layer, { format, blockLength }: LayerPolicy): number {
  return formats[format].blocked ? Math.ceil(rows / blockLength) : 1;
}

/** As long as the layer takes, whatever it answers. */
function standIn(layer: Layer, weights: Float32Array, { format, blockLength, rank }: LayerPolicy): PolarizedLayer {
  const { rows, columns } = layer;
  const ones = (length: number): Float32Array => new Float32Array(length).fill(1);
  const surrogate = rank > 0 ? { rank, a: ones(rows * rank), b: ones(rank * columns) } : undefined;
  const matrix = quantizeMatrix(formats[format], weights, columns, blockLength);
  return { format, matrix, digital: { gain: ones(columns), bias: ones(columns), surrogate }, accelerator: undefined };
}

/** The least time that `run` takes, in whole nanoseconds. */
export function fastest(run: () => void, nowMs: () => number = systemClock.uptimeMs): number {
  const times = Array.from({ length: TIMES }, () => meanMs(run, AT_LEAST_MS, nowMs));
  return Math.round(Math.min(...times) * 1e6);
}

function meanMs(run: () => void, atLeastMs: number, nowMs: () => number): number {
  const started = nowMs();
  let [runs, elapsed] = [0, 0];
  while (elapsed < atLeastMs) {
    run();
    runs++;
    elapsed = nowMs() - started;
  }
  return elapsed / runs;
}
