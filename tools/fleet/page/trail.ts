import type { FleetEvent } from "../../../runtime/fleet/topics.ts";
import type { Health } from "../../../runtime/health/health.ts";

const READINGS = 240;
const EVENTS = 60;
/** A device that says more often how it is says nothing new. */
const LEAST_APART_MS = 900;

/** What was seen of one device since the page's server runs; the topics that are retained know the rest. */
export class Trail {
  readonly readings: (readonly [ts: number, agreementPct: number])[] = [];
  readonly events: FleetEvent[] = [];

  health({ ts, agreement_pct: pct }: Health): void {
    if (pct === null || ts - (this.readings.at(-1)?.[0] ?? 0) < LEAST_APART_MS) return;
    this.readings.push([ts, pct]);
    if (this.readings.length > READINGS) this.readings.shift();
  }

  event(event: FleetEvent): void {
    this.events.push(event);
    if (this.events.length > EVENTS) this.events.shift();
  }
}
