import { features } from "./protocol/commands.ts";
import type { Session } from "./session.ts";

export interface SelfTest {
  /** Groups of 16 cells that were read, and those that read much less or more than they hold. */
  readonly groups: number;
  readonly weak: number;
  readonly deadColumns: readonly { readonly tile: number; readonly column: number }[];
}

/**
 * Lets the device test all of its tiles, which are empty afterwards. Undefined if it cannot.
 * @throws Failure as Session.request
 */
export async function selfTest(session: Session): Promise<SelfTest | undefined> {
  const { features: can, tiles, columns } = session.device;
  if ((can & features.selfTest) === 0) return undefined;
  const replies = await Promise.all(Array.from({ length: tiles }, (_, tile) => session.request("selfTest", { tile })));
  const deadColumns = replies.flatMap(({ deadColumns }, tile) =>
    Array.from({ length: columns }, (_, column) => ({ tile, column })).filter(
      ({ column }) => ((deadColumns[column >> 3] ?? 0) >> (column & 7)) & 1,
    ),
  );
  const sum = (of: "groups" | "weak"): number => replies.reduce((total, reply) => total + reply[of], 0);
  return { groups: sum("groups"), weak: sum("weak"), deadColumns };
}
