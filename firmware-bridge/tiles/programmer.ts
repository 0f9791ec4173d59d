import { Failure } from "../../runtime/base/failure.ts";
import { crc32 } from "../protocol/crc.ts";
import type { Session } from "../session.ts";
import type { Block } from "./mapping.ts";
import type { Range } from "./ranges.ts";

/** Of a write besides its levels: tile, offset, length. */
const WRITE_HEADER_BYTES = 8;
const ATTEMPTS = 2;

/**
 * Writes a block's levels to its tile, reads their CRC back, programs the cells and sets the converters.
 * @throws Failure `bridge/bad-reply` if the tile does not keep what was written, or as Session.request.
 */
export async function programBlock(session: Session, block: Block, range: Range): Promise<void> {
  const { tile, rows, columns } = block;
  await writeLevels(session, block);
  await session.request("commitTile", { tile, rows, columns });
  await setRange(session, tile, range);
}

/** The device has steps to 1/65536 of a unit cell. */
export async function setRange(session: Session, tile: number, { steps, reads }: Range): Promise<void> {
  await session.request("setRange", {
    tile,
    steps: new Uint8Array(Uint32Array.from(steps, (step) => Math.round(65536 * step)).buffer),
    reads,
  });
}

/** Into the tile's buffer, until it keeps them. @throws Failure as programBlock */
export async function writeLevels(session: Session, { tile, levels }: Pick<Block, "tile" | "levels">): Promise<void> {
  const bytes = new Uint8Array(levels.buffer, levels.byteOffset, levels.length);
  const chunk = session.device.mtu - WRITE_HEADER_BYTES;
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const starts = Array.from({ length: Math.ceil(bytes.length / chunk) }, (_, i) => i * chunk);
    await Promise.all(
      starts.map((offset) =>
        session.request("writeTile", { tile, offset, levels: bytes.subarray(offset, offset + chunk) }),
      ),
    );
    const { crc } = await session.request("verifyTile", { tile, length: bytes.length });
    if (crc === crc32(bytes)) return;
  }
  throw new Failure("bridge/bad-reply", `tile ${tile} does not keep what is written to it`, { tile });
}
