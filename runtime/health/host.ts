import { readFile } from "node:fs/promises";

/** What the computer says of itself; null where it does not tell. */
export interface HostReading {
  readonly rss_mb: number;
  /** Of one core, since the last reading. */
  readonly cpu_pct: number | null;
  readonly temp_c: number | null;
}

const TEMPERATURE = "/sys/class/thermal/thermal_zone0/temp";

/** Reads the agent's own process and, on Linux, the board's temperature. */
export class Host {
  #at = performance.now();
  #cpuMs = cpuMs();

  async read(): Promise<HostReading> {
    const [at, used] = [performance.now(), cpuMs()];
    const elapsed = at - this.#at;
    const cpu = elapsed > 0 ? round((100 * (used - this.#cpuMs)) / elapsed) : null;
    [this.#at, this.#cpuMs] = [at, used];
    return { rss_mb: round(process.memoryUsage.rss() / 2 ** 20), cpu_pct: cpu, temp_c: await temperature() };
  }
}

/** The kernel gives thousandths of a degree (Documentation/driver-api/thermal/sysfs-api.rst). */
async function temperature(): Promise<number | null> {
  const text = await readFile(TEMPERATURE, "utf8").catch(() => "");
  const value = Number.parseInt(text, 10);
  return Number.isFinite(value) ? round(value / 1000) : null;
}

function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

function round(value: number): number {
  return Math.round(10 * value) / 10;
}
