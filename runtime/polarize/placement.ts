import { entry } from "../base/entry.ts";
import { isLayer, isMatmul, positions } from "../model/graph.ts";
import type { PolarizedModel } from "../model/stages.ts";
import type { UnitLayer } from "../plan/unit.ts";
import { vectorsOf } from "./observe.ts";
import { type Calibration, replayOf } from "./polarize.ts";

/** Vectors by which the ranges of converters are set; the statistics of more are the same. */
const TYPICAL = 256;

/**
 * The layers that an accelerator may take: matrix products, but not the first and the last one, which are the most
 * sensitive (all on analog tiles costs 7 pp on keyword spotting, all but these two less than 1).
 */
export function unitLayersOf(model: PolarizedModel, calibration: Calibration): UnitLayer[] {
  const replay = replayOf(model, calibration);
  const layers = model.graph.nodes.filter(isLayer);
  const edges = new Set([layers[0], layers[layers.length - 1]]);
  const found: UnitLayer[] = [];
  for (const node of model.graph.nodes) {
    if (isMatmul(node) && !edges.has(node)) {
      const { vectors, count } = vectorsOf(node, model.graph, replay);
      const { name, rows, columns } = node;
      const { weights } = entry(calibration.float.weights, name);
      found.push({
        name,
        rows,
        columns,
        weights,
        positions: positions(node),
        typicalInputs: spread(vectors, count, rows),
      });
    }
    replay.advance(node, model.layers.get(node.name));
  }
  return found;
}

/** At most TYPICAL of the vectors, evenly spread. */
function spread(vectors: Uint8Array, count: number, rows: number): Uint8Array {
  const kept = Math.min(count, TYPICAL);
  const out = new Uint8Array(kept * rows);
  for (let i = 0; i < kept; i++) {
    const at = Math.floor((i * count) / kept) * rows;
    out.set(vectors.subarray(at, at + rows), i * rows);
  }
  return out;
}
