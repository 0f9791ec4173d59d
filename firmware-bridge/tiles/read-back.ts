import type { AcceleratorProfile } from "../../device-profiles/accelerator.ts";
import { Failure } from "../../runtime/base/failure.ts";
import { columnMeans } from "../../runtime/tensor/linear.ts";
import { features } from "../protocol/commands.ts";
import type { Session } from "../session.ts";
import { type Block, type Placement, roundToCells } from "./mapping.ts";
import { INPUT_BITS, planeCount } from "./planes.ts";
import { setRange, writeLevels } from "./programmer.ts";
import type { Range } from "./ranges.ts";

/** Sigmas of cells, gains and offsets that the converters' range leaves room for. */
const SIGMAS = 4;
/** Most reads as a power of two. */
const MOST_REPEATS = 4;
/** Of a converter, unit cells. */
const FINEST_STEP = 1 / 1024;
/** Planes whose mismatch together is less than this variance, in levels, are not looked at: rounding's is 1/12. */
const NEGLIGIBLE = 1 / 48;

/** Whether what cells conduct can be read, and will be the same when other levels are programmed. */
export function readsBack({ cells, array, converter }: AcceleratorProfile, session: Session): boolean {
  const lasting = cells.model === "sram" && array.cells === "bit-planes" && cells.sigma > 0;
  return lasting && converter.bits > 1 && (session.device.features & features.readRow) !== 0;
}

/** Reads the cells of all tiles, and chooses the levels of all layers for them. */
export async function fitToCells(
  session: Session,
  profile: AcceleratorProfile,
  placements: readonly Placement[],
): Promise<ReadonlyMap<Block, CellReading>> {
  const readings = new Map<Block, CellReading>();
  for (const placement of placements) {
    for (const block of placement.blocks) readings.set(block, await readCells(session, profile, block));
    roundToCells(placement, (block) => readings.get(block)?.cells, planeCount(profile.array));
  }
  return readings;
}

/** What was read of one tile before it was programmed. */
export interface CellReading {
  /**
   * What the cells of each plane conduct, on the side of the pair where their weight lies, with the gain of their
   * column's converter in it: planes x rows x columns, unit cells.
   */
  readonly cells: Float32Array;
  /** What each column of an empty tile answers to one row when all planes are read, in converter codes. */
  readonly offsets: Float64Array;
}

/**
 * Each plane is programmed alone and read row by row, with steps so fine that one cell fills the range; an empty tile
 * tells the converters' offsets. The least significant planes are taken to be as they should.
 */
export async function readCells(session: Session, profile: AcceleratorProfile, block: Block): Promise<CellReading> {
  const { rows, columns, tile } = block;
  const planes = planeCount(profile.array);
  const program = async (levels: Int8Array): Promise<void> => {
    await writeLevels(session, { tile, levels });
    await session.request("commitTile", { tile, rows, columns });
  };
  const ranges = Array.from({ length: planes }, (_, plane) => rangeOfPlane(profile, plane, columns));
  await program(new Int8Array(rows * columns));
  const empty = [];
  for (const range of [...ranges, rangeOfAll(profile, columns)]) empty.push(await emptyRow(session, block, range));
  const cells = new Float32Array(planes * rows * columns).fill(1);
  for (let plane = leastPlane(profile); plane < planes; plane++) {
    const alone = block.levels.map((level) => (level < 0 ? -1 : 1) * 2 ** plane);
    await program(alone);
    const sums = await readRows(session, block, ranges[plane], rows);
    for (const [i, level] of alone.entries()) {
      const conducted = (sums[i] - empty[plane][i % columns]) * ranges[plane].steps[i % columns];
      cells[plane * rows * columns + i] = Math.max(0, conducted / level);
    }
  }
  return { cells, offsets: empty[planes] };
}

/**
 * What the cells make of the levels by now: rows x columns, in unit cells. Takes no samples. The converters' range is
 * another one afterwards.
 * @param offsets from when the tile was empty
 */
export async function readWorth(
  session: Session,
  profile: AcceleratorProfile,
  block: Block,
  offsets: Float64Array,
): Promise<Float32Array> {
  const range = rangeOfAll(profile, block.columns);
  const sums = await readRows(session, block, range, block.rows);
  return Float32Array.from(sums, (sum, i) => (sum - offsets[i % block.columns]) * range.steps[i % block.columns]);
}

/** Sums of the first `count` rows, one after the other. @throws Failure `bridge/bad-reply`, or as Session.request */
async function readRows(session: Session, { tile, columns }: Block, range: Range, count: number): Promise<Int16Array> {
  await setRange(session, tile, range);
  const replies = Array.from({ length: count }, (_, row) => session.request("readRow", { tile, row }));
  const sums = new Int16Array(count * columns);
  for (const [row, reply] of (await Promise.all(replies)).entries()) {
    if (reply.sums.length !== 2 * columns) {
      throw new Failure(
        "bridge/bad-reply",
        `tile ${tile}, row ${row}: ${reply.sums.length} bytes for ${columns} columns`,
      );
    }
    sums.set(new Int16Array(Uint8Array.from(reply.sums).buffer), row * columns);
  }
  return sums;
}

/** Rows of the empty tile that are read: they differ by noise only. */
const EMPTY_ROWS = 8;

async function emptyRow(session: Session, block: Block, range: Range): Promise<Float64Array> {
  const count = Math.min(block.rows, EMPTY_ROWS);
  return columnMeans(await readRows(session, block, range, count), count, block.columns);
}

/**
 * For levels of one plane, and code 1, of which only bit 0 counts: the plane's cells fill the range and are read several
 * times; the others have nothing to say and are read with steps so fine that nothing of their noise is heard.
 */
function rangeOfPlane(profile: AcceleratorProfile, plane: number, columns: number): Range {
  const step = stepOfOneCell(profile);
  const mostHalvings = Math.max(0, Math.floor(Math.log2(step / FINEST_STEP)));
  const readOf = (other: number): number => (other === plane ? repeated(plane) : Math.min(other, mostHalvings));
  return { steps: new Float32Array(columns).fill(step), reads: readsOf(profile, readOf) };
}

/** For whole levels. */
function rangeOfAll(profile: AcceleratorProfile, columns: number): Range {
  return { steps: new Float32Array(columns).fill(stepOfOneCell(profile)), reads: readsOf(profile, repeated) };
}

function repeated(plane: number): number {
  return Math.min(plane, MOST_REPEATS) << 4;
}

function readsOf({ array }: AcceleratorProfile, readOf: (plane: number) => number): Uint8Array {
  const reads = new Uint8Array(planeCount(array) * INPUT_BITS);
  for (let plane = 0; plane < planeCount(array); plane++) reads[plane * INPUT_BITS] = readOf(plane);
  return reads;
}

/** A cell on its own ends within the range. */
function stepOfOneCell({ converter, cells }: AcceleratorProfile): number {
  const spread = cells.model === "sram" ? Math.hypot(cells.sigma, converter.gainSigma) : 0;
  const codes = 2 ** (converter.bits - 1) - 1;
  return (1 + SIGMAS * spread) / Math.max(1, codes - SIGMAS * converter.offsetLsb);
}

function leastPlane({ array, cells }: AcceleratorProfile): number {
  const variance = cells.model === "sram" ? cells.sigma ** 2 : 0;
  let plane = 0;
  for (let sum = variance; sum < NEGLIGIBLE && plane < planeCount(array); sum += variance * 4 ** plane) plane++;
  return plane;
}
