import { systemClock } from "../../runtime/base/clock.ts";
import { Failure } from "../../runtime/base/failure.ts";
import { STRAPS_ADDRESS } from "./straps.ts";

/** What the array lives through while it works. What is left out stays as it is. */
export interface Exposure {
  /** That all programmed tiles have from now on. */
  readonly ageSeconds?: number;
  readonly temperatureC?: number;
}

/** Of a running board, word by word. */
export interface BoardMemory {
  read(address: number): Promise<number>;
  write(address: number, words: readonly number[]): Promise<void>;
}

/** Behind the four words of the straps. */
const BENCH_ADDRESS = STRAPS_ADDRESS + 16;
/** As in firmware/hal.h: "bnch". */
const BENCH_MARK = 0x6863_6e62;
/** The firmware looks between two conversations with the host. */
const PATIENCE_MS = 10_000;

/**
 * Does to the C firmware's array what no word on the line tells: writes `board_bench` of firmware/hal.h. Resolves when
 * the firmware has taken it.
 * @throws Failure `bridge/timeout`
 */
export async function expose(memory: BoardMemory, { ageSeconds, temperatureC }: Exposure): Promise<void> {
  const mask = (ageSeconds === undefined ? 0 : 1) | (temperatureC === undefined ? 0 : 2);
  const temperatureMc = Math.round(1000 * (temperatureC ?? 0)) >>> 0;
  await memory.write(BENCH_ADDRESS, [BENCH_MARK, mask, ageSeconds ?? 0, temperatureMc]);
  const end = performance.now() + PATIENCE_MS;
  while ((await memory.read(BENCH_ADDRESS)) === BENCH_MARK) {
    if (performance.now() > end) throw new Failure("bridge/timeout", "the firmware does not look at its bench words");
    await systemClock.sleep(2);
  }
}
