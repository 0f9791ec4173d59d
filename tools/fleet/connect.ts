import { connectAsync, type MqttClient } from "mqtt";
import { Failure, messageOf } from "../../runtime/base/failure.ts";
import { type BrokerOptions, clientConnection, sendAtOnce } from "../../runtime/fleet/connection.ts";

/** A client in MQTT 5, or in 3.1.1 where the broker speaks nothing newer. @throws Failure fleet/unreachable */
export async function connectTo(broker: BrokerOptions, clientId?: string): Promise<MqttClient> {
  const errors: string[] = [];
  for (const version of [5, 4] as const) {
    const id = clientId === undefined ? {} : { clientId };
    try {
      const options = { ...clientConnection(broker, version), ...id, clean: true };
      const client = await connectAsync(broker.url, options, false);
      sendAtOnce(client);
      client.on("connect", () => sendAtOnce(client));
      return client;
    } catch (error) {
      errors.push(messageOf(error));
    }
  }
  throw new Failure("fleet/unreachable", `${broker.url}: ${errors.join("; ")}`, { url: broker.url });
}
