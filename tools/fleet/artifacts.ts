import { join } from "node:path";
import type { MqttClient } from "mqtt";
import { type BlockRequest, encodeBlock, parseRequest } from "../../runtime/fleet/files/block.ts";
import { nameOf, topicOf, topics } from "../../runtime/fleet/topics.ts";
import type { Files } from "../../runtime/store/files.ts";

const ASKED = topicOf("+", "xfer/req");
/** With MQTT 5 several operators share the work: each question goes to one of them. */
const SHARED = `$share/polaredge/${ASKED}`;
/** Devices ask again for what they miss, so what is too much may be forgotten. */
const LONGEST_QUEUE = 10_000;

/** Gives the files of a published repository to devices that ask for them in blocks at the broker. */
export class Artifacts {
  readonly #client: MqttClient;
  readonly #files: Pick<Files, "read" | "size">;
  readonly #folder: string;
  #waiting = 0;
  #last: Promise<void> = Promise.resolve();

  private constructor(client: MqttClient, files: Pick<Files, "read" | "size">, folder: string) {
    this.#client = client;
    this.#files = files;
    this.#folder = folder;
  }

  /** Until the client ends. @param folder with metadata, targets and blobs */
  static async serve(client: MqttClient, files: Pick<Files, "read" | "size">, folder: string): Promise<Artifacts> {
    const artifacts = new Artifacts(client, files, folder);
    client.on("message", (topic, payload) => artifacts.#hear(topic, payload));
    const shared = client.options.protocolVersion === 5;
    await client.subscribeAsync(shared ? SHARED : ASKED, { qos: 1 });
    return artifacts;
  }

  #hear(topic: string, payload: Uint8Array): void {
    const [, device = ""] = /^polaredge\/v1\/([^/]+)\//.exec(topic) ?? [];
    if (nameOf(device, topic) !== "xfer/req" || this.#waiting >= LONGEST_QUEUE) return;
    const request = parseRequest(payload);
    if (!request) return;
    this.#waiting++;
    this.#last = this.#last
      .then(() => this.#answer(device, request))
      .catch(() => undefined)
      .finally(() => this.#waiting--);
  }

  async #answer(device: string, { id, path, off, len, n }: BlockRequest): Promise<void> {
    const file = join(this.#folder, path);
    const total = (await this.#files.size(file)) ?? 0;
    const found = (off < total ? await this.#files.read(file, off, n * len) : undefined) ?? new Uint8Array();
    const { qos } = topics["xfer/rsp/+"];
    for (let at = 0; at < Math.max(1, found.length); at += len) {
      const data = found.subarray(at, at + len);
      const payload = Buffer.from(encodeBlock({ total, off: off + at, data }).buffer);
      await this.#client.publishAsync(topicOf(device, `xfer/rsp/${id}`), payload, { qos });
    }
  }
}
