import type { ArrayProfile } from "../device-profiles/accelerator.ts";
import type { UnitLayer } from "../runtime/plan/unit.ts";
import { maxLevel } from "./planes.ts";

/** A part of a layer that lies on one tile: levels, and what a level of each column is worth. */
export interface Block {
  readonly tile: number;
  readonly fromRow: number;
  readonly rows: number;
  readonly fromColumn: number;
  readonly columns: number;
  /** rows x columns, row by row. */
  readonly levels: Int8Array;
  /** Weight units per level, one for each column. */
  readonly scales: Float32Array;
}

/** A layer and where it lies. */
export interface Placement {
  readonly layer: UnitLayer;
  readonly blocks: readonly Block[];
}

/** Parts of a column's largest weight that are tried as the largest level's weight; the least square error wins. */
const CLIPPING: readonly number[] = Array.from({ length: 21 }, (_, i) => 1 - i / 40);

/**
 * Chooses layers for the tiles there are, those first that save the most multiply-accumulates per byte on the link,
 * and cuts them into blocks. Rows are split evenly: fewer rows per conversion, finer steps.
 */
export function mapLayers(layers: readonly UnitLayer[], array: ArrayProfile): Placement[] {
  const placements: Placement[] = [];
  let tile = 0;
  for (const layer of [...layers].sort((a, b) => benefit(b, array) - benefit(a, array))) {
    if (tile + tilesOf(layer, array) > array.tiles) continue;
    const blocks = cut(layer, array, tile);
    tile += blocks.length;
    placements.push({ layer, blocks });
  }
  return placements;
}

/** What the unit believes that it multiplies with: rows x columns, row by row, in weight units. */
export function nominalWeights({ layer, blocks }: Placement): Float32Array {
  const weights = new Float32Array(layer.rows * layer.columns);
  for (const { fromRow, rows, fromColumn, columns, levels, scales } of blocks) {
    for (let row = 0; row < rows; row++) {
      const to = (fromRow + row) * layer.columns + fromColumn;
      for (let j = 0; j < columns; j++) weights[to + j] = levels[row * columns + j] * scales[j];
    }
  }
  return weights;
}

function tilesOf({ rows, columns }: UnitLayer, array: ArrayProfile): number {
  return Math.ceil(rows / array.rows) * Math.ceil(columns / array.columns);
}

/** Multiply-accumulates per byte that one vector costs on the link: codes to each tile, 16-bit sums back. */
function benefit({ rows, columns }: UnitLayer, array: ArrayProfile): number {
  const rowTiles = Math.ceil(rows / array.rows);
  const columnTiles = Math.ceil(columns / array.columns);
  return (rows * columns) / (rows * columnTiles + 2 * columns * rowTiles);
}

function cut(layer: UnitLayer, array: ArrayProfile, firstTile: number): Block[] {
  const blocks: Block[] = [];
  for (const [fromRow, rows] of parts(layer.rows, array.rows)) {
    for (const [fromColumn, columns] of parts(layer.columns, array.columns)) {
      const at = { tile: firstTile + blocks.length, fromRow, rows, fromColumn, columns };
      blocks.push({ ...at, ...levelsOf(layer, at, maxLevel(array)) });
    }
  }
  return blocks;
}

/** [from, length] of as few parts as possible, as even as possible. */
function parts(length: number, most: number): [from: number, length: number][] {
  const count = Math.ceil(length / most);
  return Array.from({ length: count }, (_, i) => {
    const from = Math.floor((i * length) / count);
    return [from, Math.floor(((i + 1) * length) / count) - from];
  });
}

type Place = Pick<Block, "fromRow" | "rows" | "fromColumn" | "columns">;

function levelsOf(layer: UnitLayer, place: Place, max: number): Pick<Block, "levels" | "scales"> {
  const { fromRow, rows, fromColumn, columns } = place;
  const levels = new Int8Array(rows * columns);
  const scales = new Float32Array(columns);
  for (let j = 0; j < columns; j++) {
    const column = Float32Array.from(
      { length: rows },
      (_, i) => layer.weights[(fromRow + i) * layer.columns + fromColumn + j],
    );
    scales[j] = bestScale(column, max);
    for (let i = 0; i < rows; i++) levels[i * columns + j] = level(column[i], scales[j], max);
  }
  return { levels, scales };
}

/** The scale with the least square error; 1 for a column of zeros. */
function bestScale(column: Float32Array, max: number): number {
  const largest = column.reduce((most, weight) => Math.max(most, Math.abs(weight)), 0);
  if (largest === 0) return 1;
  let best = { scale: 1, error: Number.POSITIVE_INFINITY };
  for (const share of CLIPPING) {
    const scale = Math.fround((share * largest) / max);
    const error = column.reduce((sum, weight) => sum + (weight - scale * level(weight, scale, max)) ** 2, 0);
    if (error < best.error) best = { scale, error };
  }
  return best.scale;
}

function level(weight: number, scale: number, max: number): number {
  return Math.min(Math.max(Math.round(weight / scale), -max), max);
}
