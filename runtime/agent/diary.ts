import type { DriftPolicy } from "../../device-profiles/device.ts";
import type { CalibrationEntry, FleetEvent, History } from "../fleet/topics.ts";
import type { Deployed, Phase } from "./state.ts";

/** At most so many of each: `history` stays below 24 KiB. */
const LIMITS = { readings: 160, calibrations: 16, events: 40 } as const;
const MAX_MESSAGE = 240;

/** What the agent remembers for whoever asks later what it did and why. */
export class Diary {
  readonly #boot: string;
  readonly #thresholds: History["thresholds"];
  readonly #readings: History["readings"][number][];
  readonly #calibrations: CalibrationEntry[];
  readonly #events: History["events"][number][];

  /** @param past what the process before remembered */
  constructor(boot: string, { recalibrateBelowPct, healthyAbovePct }: DriftPolicy, past?: History) {
    this.#boot = boot;
    this.#thresholds = { recalibrateBelowPct, healthyAbovePct };
    this.#readings = [...(past?.readings ?? [])];
    this.#calibrations = [...(past?.calibrations ?? [])];
    this.#events = [...(past?.events ?? [])];
  }

  reading(ts: number, agreementPct: number): void {
    this.#readings.push([ts, Number(agreementPct.toPrecision(4))]);
    if (this.#readings.length > LIMITS.readings) thin(this.#readings);
  }

  calibration(entry: CalibrationEntry): void {
    keep(this.#calibrations, entry, LIMITS.calibrations);
  }

  event({ n, ts, level, code, msg }: FleetEvent): void {
    keep(this.#events, { n, ts, level, code, msg: msg.slice(0, MAX_MESSAGE) }, LIMITS.events);
  }

  get history(): History {
    return {
      v: 1,
      boot: this.#boot,
      thresholds: this.#thresholds,
      readings: [...this.#readings],
      calibrations: [...this.#calibrations],
      events: [...this.#events],
    };
  }
}

/** What a process before kept, if this one understands it. */
export function pastIn(kept: unknown): History | undefined {
  const past = kept as History | undefined;
  return past?.v === 1 ? past : undefined;
}

/** What came of this phase: the model that is active from now on. `afterPct` is its newest reading. */
export function calibrationOf(
  phase: Phase,
  { version, unit }: Deployed,
  afterPct: number | undefined,
): Omit<CalibrationEntry, "ts"> {
  const { action, beforePct } =
    phase.at === "TRIAL"
      ? { action: phase.goal.action, beforePct: phase.baselinePct }
      : { action: "exchange", beforePct: undefined };
  return { action, version, unit, beforePct: beforePct ?? null, afterPct: afterPct ?? null };
}

/** Every second one of the older half goes: the newest stay close together, the oldest reach far back. */
function thin<T>(list: T[]): void {
  const half = list.length >> 1;
  list.splice(0, half, ...list.slice(0, half).filter((_, i) => i % 2 === 0));
}

function keep<T>(list: T[], entry: T, most: number): void {
  list.push(entry);
  if (list.length > most) list.shift();
}
