import type { DriftPolicy } from "../../device-profiles/device.ts";
import type { CalibrationEntry, FleetEvent, History } from "../fleet/topics.ts";
import type { Deployed, Phase } from "./state.ts";

/** At most so many of each: `history` stays below 24 KiB. */
const LIMITS = { readings: 160, calibrations: 16, events: 40 } as const;
const MAX_MESSAGE = 240;

/** What the agent remembers for whoever asks later what it did and why; gone with the process. */
export class Diary {
  readonly #boot: string;
  readonly #thresholds: History["thresholds"];
  readonly #readings: History["readings"][number][] = [];
  readonly #calibrations: CalibrationEntry[] = [];
  readonly #events: History["events"][number][] = [];

  constructor(boot: string, { recalibrateBelowPct, healthyAbovePct }: DriftPolicy) {
    this.#boot = boot;
    this.#thresholds = { recalibrateBelowPct, healthyAbovePct };
  }

  reading(ts: number, agreementPct: number): void {
    keep(this.#readings, [ts, Number(agreementPct.toPrecision(4))], LIMITS.readings);
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

function keep<T>(list: T[], entry: T, most: number): void {
  list.push(entry);
  if (list.length > most) list.shift();
}
