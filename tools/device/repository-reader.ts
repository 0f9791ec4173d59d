import { systemClock } from "../../runtime/base/clock.ts";
import { Failure } from "../../runtime/base/failure.ts";
import type { Config } from "../../runtime/config.ts";
import { smallFiles } from "../../runtime/fleet/files/small-file.ts";
import { OVER_MQTT } from "../../runtime/fleet/files/sources.ts";
import { Transfers } from "../../runtime/fleet/files/transfers.ts";
import { topicOf } from "../../runtime/fleet/topics.ts";
import type { FetchSmall } from "../../runtime/trust/trust.ts";
import { connectTo } from "../fleet/connect.ts";

export interface RepositoryReader {
  readonly fetch: FetchSmall;
  close(): Promise<void>;
}

const BLOCK_BYTES = 16 * 1024;
/** A person waits. */
const TRIES = 2;

/** Reads a repository from where the device does, beside the agent. @throws Failure config/invalid, fleet/unreachable */
export async function repositoryReader({ device, broker }: Config, repository: string): Promise<RepositoryReader> {
  if (repository !== OVER_MQTT) return { fetch: smallFiles(repository), close: async () => undefined };
  if (!broker) throw new Failure("config/invalid", "trust.repository: mqtt: needs a broker, found null");
  const client = await connectTo(broker, `${device.id}-reader`);
  const transfers = new Transfers();
  client.on("message", (topic, payload) => transfers.take(topic.split("/").at(-1) ?? "", payload));
  await client.subscribeAsync(topicOf(device.id, "xfer/rsp/+"), { qos: 0 });
  transfers.use({
    blockBytes: BLOCK_BYTES,
    ask: (request) => void client.publish(topicOf(device.id, "xfer/req"), JSON.stringify(request), { qos: 1 }),
  });
  return { fetch: transfers.small({ clock: systemClock, tries: TRIES }), close: () => client.endAsync(true) };
}
