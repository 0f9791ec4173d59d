import { connect, type MqttClient } from "mqtt";
import { systemClock } from "../../runtime/base/clock.ts";
import { silentLog } from "../../runtime/base/log.ts";
import { Transfers } from "../../runtime/fleet/files/transfers.ts";
import { openFleet } from "../../runtime/fleet/mqtt.ts";
import { Outbox } from "../../runtime/fleet/outbox.ts";
import type { Fleet } from "../../runtime/fleet/topics.ts";
import { Listener } from "./listener.ts";
import { MemoryDisk } from "./memory-disk.ts";
import type { RealBroker } from "./real-broker.ts";
import { until } from "./until.ts";

/** Nobody listens there. */
const NOWHERE = "mqtt://127.0.0.1:1";

/** A device's side of the connection to a real broker, with a cable that can be pulled. */
export class ConnectedDevice {
  readonly listener: Listener = new Listener();
  readonly transfers: Transfers = new Transfers();
  readonly fleet: Fleet;
  #client: MqttClient | undefined;
  #gone = false;

  private constructor(device: string, broker: RealBroker, outbox: Outbox) {
    this.fleet = openFleet({
      device,
      broker: { url: broker.url, tls: broker.tls(device) },
      listener: this.listener,
      outbox,
      transfers: this.transfers,
      clock: systemClock,
      log: silentLog,
      random: () => 0,
      connect: (url, options) => {
        this.#client = connect(this.#gone ? NOWHERE : url, options);
        return this.#client;
      },
    });
  }

  static async start(device: string, broker: RealBroker): Promise<ConnectedDevice> {
    const connected = new ConnectedDevice(device, broker, await Outbox.open(new MemoryDisk(), "/"));
    await until("the connection", () => connected.transfers.connected);
    return connected;
  }

  /** Of MQTT. */
  get version(): number | undefined {
    return this.#client?.options.protocolVersion;
  }

  cut(): void {
    this.#client?.stream.destroy();
  }

  /** It does not come back. */
  cutForGood(): void {
    this.#gone = true;
    this.cut();
  }

  end(): Promise<void> {
    return this.fleet.close();
  }
}
