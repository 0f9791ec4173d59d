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

/** A step is timed so often, each time for so long that the clock is exact enough; other work only ever adds time. */
const TIMES = 5;
const AT_LEAST_MS = 0.5;
const WARM_UP = 3;

export function latencyOf(
  { float, observed, kernels }: Calibration,
  nowMs: () => number = systemClock.uptimeMs,
): Latency {
  const { graph } = float;
  const ranges = rangesOf(graph, observed);
  const timed = (node: Node, layer?: PolarizedLayer): number => {
    const { step, memory } = isolated(node, layer, graph, ranges);
    return step === undefined ? 0 : fastest(kernels(memory.bytes).bind(step), nowMs);
  };
  const layers = graph.nodes.filter(isLayer);
  const byName = new Map(layers.map((layer) => [layer.name, layer]));
  return {
    rest: graph.nodes.filter((node) => !isLayer(node)).reduce((sum, node) => sum + timed(node), 0),
    of(name, policy) {
      const layer = entry(byName, name);
      return timed(layer, standIn(layer, entry(float.weights, name).weights, policy));
    },
  };
}

/** As long as the layer takes, whatever it answers. */
function standIn(layer: Layer, weights: Float32Array, { format, blockLength, rank }: LayerPolicy): PolarizedLayer {
  const { rows, columns } = layer;
  const ones = (length: number): Float32Array => new Float32Array(length).fill(1);
  const surrogate = rank > 0 ? { rank, a: ones(rows * rank), b: ones(rank * columns) } : undefined;
  const matrix = quantizeMatrix(formats[format], weights, columns, blockLength);
  return { format, matrix, digital: { gain: ones(columns), bias: ones(columns), surrogate }, accelerator: undefined };
}

function fastest(run: () => void, nowMs: () => number): number {
  for (let i = 0; i < WARM_UP; i++) run();
  let best = Number.POSITIVE_INFINITY;
  for (let i = 0; i < TIMES; i++) {
    const started = nowMs();
    let [runs, elapsed] = [0, 0];
    while (elapsed < AT_LEAST_MS) {
      run();
      runs++;
      elapsed = nowMs() - started;
    }
    best = Math.min(best, elapsed / runs);
  }
  return Math.round(best * 1e6);
}
