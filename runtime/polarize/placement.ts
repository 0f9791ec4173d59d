import { entry } from "../base/entry.ts";
import { shuffled } from "../base/random.ts";
import { isLayer, isMatmul, positions } from "../model/graph.ts";
import type { PolarizedModel } from "../model/stages.ts";
import type { UnitLayer } from "../plan/unit.ts";
import { center, columnMeans } from "../tensor/linear.ts";
import { secondMoment } from "../tensor/products.ts";
import { vectorsOf } from "./observe.ts";
import { type Calibration, replayOf } from "./polarize.ts";

/** Vectors by which the ranges of converters are set; the statistics of more are the same. */
const TYPICAL = 256;
/** Vectors for the covariance of a layer's inputs. */
const OBSERVED = 4096;

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
        typicalInputs: drawn(vectors, count, rows, TYPICAL),
        moments: covariance(drawn(vectors, count, rows, OBSERVED), rows),
      });
    }
    replay.advance(node, model.layers.get(node.name));
  }
  return found;
}

function covariance(vectors: Uint8Array, rows: number): Float64Array {
  const count = vectors.length / rows;
  const centered = Float32Array.from(vectors);
  center(centered, columnMeans(centered, count, rows));
  return secondMoment(centered, count, rows);
}

/** At most so many of the vectors, drawn at random: an even step could meet the same column of every image. */
function drawn(vectors: Uint8Array, count: number, rows: number, most: number): Uint8Array {
  const kept = shuffled(count, 1).slice(0, most);
  const out = new Uint8Array(kept.length * rows);
  for (const [to, from] of kept.entries()) out.set(vectors.subarray(from * rows, (from + 1) * rows), to * rows);
  return out;
}
