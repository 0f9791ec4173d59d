import type { Clock } from "../../base/clock.ts";
import { isFailure } from "../../base/failure.ts";
import type { Part } from "../../store/blobs.ts";
import type { FetchSmall } from "../../trust/trust.ts";
import { type DownloadOptions, download } from "./download.ts";
import { smallFiles } from "./small-file.ts";
import type { Transfers } from "./transfers.ts";

/** Address of a repository that is reached through the broker alone. */
export const OVER_MQTT = "mqtt:";

/** Where a device fetches from: the web server of its repository; the broker, if that is its address or it fails. */
export class Sources {
  readonly #transfers: Transfers;
  readonly #clock: Clock;

  constructor(transfers: Transfers, clock: Clock) {
    this.#transfers = transfers;
    this.#clock = clock;
  }

  /** @throws Failure download/... */
  async fetch(url: string, part: Part, options: Omit<DownloadOptions, "clock">): Promise<void> {
    const how = { clock: this.#clock, ...options };
    if (url.startsWith(OVER_MQTT)) return this.#transfers.fetch(part, how);
    try {
      await download(url, part, how);
    } catch (error) {
      if (!isFailure(error, "download/failed") || !this.#transfers.connected) throw error;
      // Who asks wants to hear of the web server: that is the one to be repaired.
      await this.#transfers.fetch(part, how).catch((other: unknown) => {
        throw isFailure(other, "download/failed") ? error : other;
      });
    }
  }

  /** Reader of the small files of a repository. */
  small(repository: string): FetchSmall {
    const overMqtt = this.#transfers.small({ clock: this.#clock });
    if (repository === OVER_MQTT) return overMqtt;
    const overHttp = smallFiles(repository);
    return async (path, maxBytes, signal) => {
      try {
        return await overHttp(path, maxBytes, signal);
      } catch (error) {
        if (!isFailure(error, "trust/unreachable") || !this.#transfers.connected) throw error;
        return overMqtt(path, maxBytes, signal).catch((other: unknown) => {
          throw isFailure(other, "trust/unreachable") ? error : other;
        });
      }
    };
  }
}

/** Where the file of that digest is in a repository. */
export function blobUrl(repository: string, sha256: string): string {
  if (repository === OVER_MQTT) return `${OVER_MQTT}blobs/${sha256}`;
  return new URL(`blobs/${sha256}`, `${repository.replace(/\/$/, "")}/`).href;
}
