import type { AcceleratorProfile } from "../../device-profiles/accelerator.ts";
import { Failure, isFailure } from "../../runtime/base/failure.ts";
import type { UnitLayer } from "../../runtime/plan/unit.ts";
import type { Refusal } from "../protocol/commands.ts";
import type { Session } from "../session.ts";

/**
 * A device may have more tiles and wider accumulators than the profile says, or be too old to tell the latter.
 * @throws Failure `bridge/wrong-device` unless it is the chip `uid` and otherwise as the profile says
 */
export function checkDevice(
  { device }: Pick<Session, "device">,
  { name, array, converter }: AcceleratorProfile,
  uid: string,
): void {
  const expected = {
    rows: array.rows,
    columns: array.columns,
    weightBits: array.weightBits,
    adcBits: converter.bits,
    tiles: array.tiles,
    accumulatorBits: converter.accumulatorBits,
    uid,
  };
  const enough: ReadonlySet<string> = new Set(["tiles", "accumulatorBits"]);
  for (const [what, value] of Object.entries(expected)) {
    const got = device[what as keyof typeof expected];
    if (got === value || (enough.has(what) && got > value)) continue;
    if (what === "accumulatorBits" && got === 0) continue;
    throw new Failure("bridge/wrong-device", `the device has ${what} ${got}, ${value} was expected for ${name}`, {
      what,
      got,
    });
  }
}

/** @throws Failure `input/shape` */
export function checkLayer({ name, rows, columns, weights, typicalInputs }: UnitLayer): void {
  if (weights.length !== rows * columns || !weights.every(Number.isFinite)) {
    throw new Failure("input/shape", `${name}: ${rows} x ${columns} finite weights expected, ${weights.length} got`);
  }
  if (typicalInputs.length === 0 || typicalInputs.length % rows !== 0) {
    throw new Failure(
      "input/shape",
      `${name}: whole typical vectors of ${rows} codes expected, ${typicalInputs.length} bytes got`,
    );
  }
}

/** Whether the device refused for this reason. */
export function isRefusal(error: unknown, refusal: Refusal): boolean {
  return isFailure(error, "bridge/refused") && error.detail.refusal === refusal;
}
