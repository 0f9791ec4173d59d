import type { AcceleratorProfile } from "../device-profiles/accelerator.ts";
import { columnMeans } from "../runtime/tensor/linear.ts";
import type { Block } from "./mapping.ts";
import { INPUT_BITS, planeCount } from "./planes.ts";
import { setRange, writeLevels } from "./programmer.ts";
import { features } from "./protocol/commands.ts";
import type { Range } from "./ranges.ts";
import type { Session } from "./session.ts";

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

/**
 * What the cells of each plane conduct, on the side of the pair where their weight lies, with the gain of their
 * column's converter in it: planes x rows x columns, unit cells. Each plane is programmed alone and read row by row,
 * with steps so fine that one cell fills the range; an empty tile tells the converters' offsets. The least significant
 * planes are taken to be as they should.
 */
export async function readCells(session: Session, profile: AcceleratorProfile, block: Block): Promise<Float32Array> {
  const { rows, columns, tile } = block;
  const planes = planeCount(profile.array);
  const ranges = Array.from({ length: planes }, (_, plane) => rangeOfPlane(profile, plane, columns));
  const program = async (levels: Int8Array): Promise<void> => {
    await writeLevels(session, { tile, levels });
    await session.request("commitTile", { tile, rows, columns });
  };
  const answers = async (plane: number, count: number): Promise<Int16Array[]> => {
    await setRange(session, tile, ranges[plane]);
    const replies = Array.from({ length: count }, (_, row) => session.request("readRow", { tile, row }));
    return (await Promise.all(replies)).map(({ sums }) => new Int16Array(Uint8Array.from(sums).buffer));
  };
  const cells = new Float32Array(planes * rows * columns).fill(1);
  await program(new Int8Array(rows * columns));
  const offsets: Float64Array[] = [];
  for (let plane = 0; plane < planes; plane++) {
    const empty = await answers(plane, Math.min(rows, EMPTY_ROWS));
    offsets.push(
      columnMeans(
        empty.flatMap((sums) => [...sums]),
        empty.length,
        columns,
      ),
    );
  }
  for (let plane = leastPlane(profile); plane < planes; plane++) {
    const alone = block.levels.map((level) => (level < 0 ? -1 : 1) * 2 ** plane);
    await program(alone);
    for (const [row, sums] of (await answers(plane, rows)).entries()) {
      for (let j = 0; j < columns; j++) {
        const sum = (sums[j] - offsets[plane][j]) * ranges[plane].steps[j];
        cells[(plane * rows + row) * columns + j] = Math.max(0, sum / alone[row * columns + j]);
      }
    }
  }
  return cells;
}

/** Rows of the empty tile that are read: they differ by noise only. */
const EMPTY_ROWS = 8;

/**
 * For rows that hold levels of one plane only, and code 1, for which bit 0 counts: its cells fill the range and are
 * read several times; the other planes have nothing to say and are read with steps so fine that neither has their noise.
 */
function rangeOfPlane({ array, converter, cells }: AcceleratorProfile, plane: number, columns: number): Range {
  const spread = cells.model === "sram" ? Math.hypot(cells.sigma, converter.gainSigma) : 0;
  const codes = 2 ** (converter.bits - 1) - 1;
  const room = Math.max(1, codes - SIGMAS * converter.offsetLsb);
  const step = (1 + SIGMAS * spread) / room;
  const mostHalvings = Math.max(0, Math.floor(Math.log2(step / FINEST_STEP)));
  const reads = new Uint8Array(planeCount(array) * INPUT_BITS);
  for (let other = 0; other < planeCount(array); other++) {
    reads[other * INPUT_BITS] = other === plane ? Math.min(plane, MOST_REPEATS) << 4 : Math.min(other, mostHalvings);
  }
  return { steps: new Float32Array(columns).fill(step), reads };
}

function leastPlane({ array, cells }: AcceleratorProfile): number {
  const variance = cells.model === "sram" ? cells.sigma ** 2 : 0;
  let plane = 0;
  for (let sum = variance; sum < NEGLIGIBLE && plane < planeCount(array); sum += variance * 4 ** plane) plane++;
  return plane;
}
