import type { ArrayProfile } from "../../device-profiles/accelerator.ts";
import type { UnitLayer } from "../../runtime/plan/unit.ts";
import { roundInOrder, roundingOrder } from "../../runtime/quantize/gptq.ts";
import { identity } from "../../runtime/tensor/linear.ts";
import { maxLevel } from "./planes.ts";
import type { Trim } from "./trim.ts";

/** A part of a layer that lies on one tile: levels, and what a level of each column is worth. */
export interface Block {
  readonly tile: number;
  readonly fromRow: number;
  readonly rows: number;
  readonly fromColumn: number;
  readonly columns: number;
  /** rows x columns, row by row. */
  readonly levels: Int8Array;
  /** What the cells make of the levels, rows x columns, in unit cells: the levels, until the cells are known. */
  readonly worth: Float32Array;
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
 * @param suits whether a layer may be cut so; if not, its rows are split into twice as many parts. Single rows suit
 */
export function mapLayers(
  layers: readonly UnitLayer[],
  array: ArrayProfile,
  suits: (layer: UnitLayer) => (blocks: readonly Block[]) => boolean = () => () => true,
): Placement[] {
  const placements: Placement[] = [];
  let tile = 0;
  for (const layer of [...layers].sort((a, b) => benefit(b, array) - benefit(a, array))) {
    if (tile + tilesOf(layer, array) > array.tiles) continue;
    const blocks = suitableCut(layer, array, tile, suits(layer));
    if (tile + blocks.length > array.tiles) continue;
    tile += blocks.length;
    placements.push({ layer, blocks });
  }
  return placements;
}

/** A block, what its cells make of the levels (rows x columns, in unit cells), and what is made of its columns' sums. */
export interface Held {
  readonly block: Block;
  readonly worth: Float32Array;
  readonly trim: Pick<Trim, "gain">;
}

/** What the unit believes that it multiplies with: rows x columns, row by row, in weight units. */
export function nominalWeights(layer: Pick<UnitLayer, "rows" | "columns">, held: readonly Held[]): Float32Array {
  const weights = new Float32Array(layer.rows * layer.columns);
  for (const { block, worth, trim } of held) {
    const { fromRow, rows, fromColumn, columns, scales } = block;
    for (let row = 0; row < rows; row++) {
      const to = (fromRow + row) * layer.columns + fromColumn;
      for (let j = 0; j < columns; j++) weights[to + j] = trim.gain[j] * worth[row * columns + j] * scales[j];
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

function suitableCut(
  layer: UnitLayer,
  array: ArrayProfile,
  firstTile: number,
  suits: (blocks: readonly Block[]) => boolean,
): Block[] {
  for (let rows = array.rows; ; rows = Math.ceil(rows / 2)) {
    const blocks = cut(layer, { ...array, rows }, firstTile);
    if (rows === 1 || suits(blocks)) return blocks;
  }
}

function cut(layer: UnitLayer, array: ArrayProfile, firstTile: number): Block[] {
  const max = maxLevel(array);
  const blocks: Block[] = [];
  for (const [fromRow, rows] of parts(layer.rows, array.rows)) {
    for (const [fromColumn, columns] of parts(layer.columns, array.columns)) {
      const place = { fromRow, rows, fromColumn, columns };
      const levels = new Int8Array(rows * columns);
      const worth = new Float32Array(levels.length);
      blocks.push({ tile: firstTile + blocks.length, ...place, levels, worth, scales: scalesOf(layer, place, max) });
    }
  }
  setLevels(layer, blocks, (_block, _at, target) => {
    const nearest = Math.min(Math.max(Math.round(target), -max), max);
    return { level: nearest, worth: nearest };
  });
  return blocks;
}

/** Typical inputs of the block's rows, count x rows. */
export function typicalOf({ typicalInputs, rows }: UnitLayer, block: Block): Uint8Array {
  const every = Array.from({ length: typicalInputs.length / rows }, (_, i) => i);
  return slice(typicalInputs, rows, every, block);
}

/** The block's rows of these vectors. */
export function slice(inputs: Uint8Array, rows: number, vectors: readonly number[], block: Block): Uint8Array {
  const codes = new Uint8Array(vectors.length * block.rows);
  for (const [i, vector] of vectors.entries()) {
    const at = vector * rows + block.fromRow;
    codes.set(inputs.subarray(at, at + block.rows), i * block.rows);
  }
  return codes;
}

/**
 * Rounds the weights anew, to what these cells can be: of the many levels with mismatched planes one is nearer to a
 * weight than the level that counts as much.
 * @param cells of each block, planes x rows x columns: what they conduct on the side where the weight lies
 */
export function roundToCells(
  { layer, blocks }: Placement,
  cells: (block: Block) => Float32Array | undefined,
  planes: number,
): void {
  const seen = new Map(blocks.map((block) => [block, block.levels.map((level) => (level < 0 ? -1 : 1))]));
  setLevels(layer, blocks, (block, at, target) => {
    const known = seen.get(block)?.[at] === (target < 0 ? -1 : 1) ? cells(block) : undefined;
    return nearestLevel(target, planes, (plane) => known?.[plane * block.levels.length + at] ?? 1);
  });
}

/** The level whose conducting cells add up to what is nearest to `target`, in unit cells. */
function nearestLevel(target: number, planes: number, cell: (plane: number) => number): Choice {
  const sums = new Float32Array(2 ** planes);
  let best = 0;
  for (let plane = 0; plane < planes; plane++) {
    const more = 2 ** plane * cell(plane);
    for (let level = 2 ** plane; level < 2 ** (plane + 1); level++) {
      sums[level] = sums[level - 2 ** plane] + more;
      if (Math.abs(sums[level] - Math.abs(target)) < Math.abs(sums[best] - Math.abs(target))) best = level;
    }
  }
  const sign = target < 0 ? -1 : 1;
  return { level: sign * best, worth: sign * sums[best] };
}

interface Choice {
  readonly level: number;
  readonly worth: number;
}

/** Rounds the weights so that the errors of a column cancel on typical inputs, if they are known, over all of the layer's tiles. */
function setLevels(
  { weights, rows, columns, moments }: UnitLayer,
  blocks: readonly Block[],
  choose: (block: Block, at: number, target: number) => Choice,
): void {
  roundInOrder(weights, columns, roundingOrder(moments ?? identity(rows), rows), (row, wanted, given) => {
    for (const [column, weight] of wanted.entries()) {
      const block = blocks.find((b) => holds(b, row, column));
      if (!block) throw new Error(`no tile holds ${row}, ${column}`);
      const j = column - block.fromColumn;
      const place = (row - block.fromRow) * block.columns + j;
      const { level, worth } = choose(block, place, weight / block.scales[j]);
      block.levels[place] = level;
      block.worth[place] = worth;
      given[column] = worth * block.scales[j];
    }
  });
}

function holds({ fromRow, rows, fromColumn, columns }: Place, row: number, column: number): boolean {
  return row >= fromRow && row < fromRow + rows && column >= fromColumn && column < fromColumn + columns;
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

function scalesOf(layer: UnitLayer, { fromRow, rows, fromColumn, columns }: Place, max: number): Float32Array {
  return Float32Array.from({ length: columns }, (_, j) => {
    const column = Float32Array.from(
      { length: rows },
      (_, i) => layer.weights[(fromRow + i) * layer.columns + fromColumn + j],
    );
    return bestScale(column, max);
  });
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
