import { Failure } from "../../runtime/base/failure.ts";
import type { Session } from "../session.ts";
import { isRefusal } from "./checks.ts";
import type { Resident } from "./resident.ts";

/** Of a request and of a reply besides vectors and sums. */
const MULTIPLY_HEADER_BYTES = 5;

/** `count` vectors cut into as many as fit in one frame, there and back. */
export function batches(
  { device }: Session,
  { block, width }: Resident,
  count: number,
): [from: number, length: number][] {
  const room = device.mtu - MULTIPLY_HEADER_BYTES;
  const most = Math.max(1, Math.floor(room / Math.max(block.rows, block.columns * width)));
  return Array.from({ length: Math.ceil(count / most) }, (_, i) => [i * most, Math.min(most, count - i * most)]);
}

/**
 * A tile's sums of whole vectors, in converter codes: as i16 as long as the device can say them so.
 * @throws Failure as Session.request
 */
export async function sumsOf(session: Session, resident: Resident, vectors: Uint8Array): Promise<Int32Array> {
  try {
    return await ask(session, resident, vectors);
  } catch (error) {
    if (!isRefusal(error, "too-wide")) throw error;
  }
  resident.width = 4;
  return ask(session, resident, vectors);
}

async function ask(session: Session, resident: Resident, vectors: Uint8Array): Promise<Int32Array> {
  const { tile, rows, columns } = resident.block;
  const { width } = resident;
  const count = vectors.length / rows;
  const sums = new Int32Array(count * columns);
  for (const [from, length] of batches(session, resident, count)) {
    const part = vectors.subarray(from * rows, (from + length) * rows);
    const reply = await session.request("multiply", { tile, width, vectors: part });
    if (reply.sums.length !== length * columns * width) {
      throw new Failure("bridge/bad-reply", `tile ${tile}: ${reply.sums.length} bytes of sums for ${length} vectors`);
    }
    sums.set(width === 2 ? new Int16Array(reply.sums.buffer) : new Int32Array(reply.sums.buffer), from * columns);
  }
  return sums;
}
