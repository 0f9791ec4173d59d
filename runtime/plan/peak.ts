import type { Graph } from "../model/graph.ts";
import type { Lifetime } from "./memory.ts";

/** When most bytes are alive. */
export interface Peak {
  /** Time as in lifetimesOf, and what runs then. */
  readonly at: number;
  readonly node: string;
  /** The greatest first. */
  readonly alive: readonly Lifetime[];
  readonly bytes: number;
}

export function peakOf(graph: Graph, lifetimes: readonly Lifetime[]): Peak {
  const aliveAt = (at: number): Lifetime[] => lifetimes.filter(({ first, last }) => first <= at && at <= last);
  const bytesAt = (at: number): number => aliveAt(at).reduce((sum, { bytes }) => sum + bytes, 0);
  const at = lifetimes
    .map(({ first }) => first)
    .reduce((best, time) => (bytesAt(time) > bytesAt(best) ? time : best), 0);
  const alive = aliveAt(at).sort((a, b) => b.bytes - a.bytes);
  return { at, node: nodeAt(graph, at), alive, bytes: bytesAt(at) };
}

function nodeAt(graph: Graph, at: number): string {
  return graph.nodes[at - 1]?.name ?? (at === 0 ? "the input" : "the output");
}
