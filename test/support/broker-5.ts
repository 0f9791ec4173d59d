import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { generate, type IConnectPacket, type IPublishPacket, type Packet, parser } from "mqtt-packet";

/** As much of an MQTT 5 broker as it takes to see one client connect, subscribe, publish and be asked. */
export class Broker5 {
  connect: IConnectPacket | undefined;
  connections = 0;
  readonly published: IPublishPacket[] = [];
  readonly #server: Server;
  #socket: Socket | undefined;

  constructor(maximumPacketSize: number) {
    this.#server = createServer((socket) => {
      this.#socket = socket;
      const incoming = parser({ protocolVersion: 5 });
      socket.on("error", () => undefined);
      socket.on("data", (data) => incoming.parse(data));
      incoming.on("packet", (packet) => this.#take(packet, maximumPacketSize));
    });
  }

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    return `mqtt://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  publish(topic: string, payload: string, properties: IPublishPacket["properties"] = {}): void {
    this.#send({ cmd: "publish", topic, payload, qos: 0, retain: false, dup: false, properties });
  }

  throwOut(reasonCode: number): void {
    this.#send({ cmd: "disconnect", reasonCode });
    this.#socket?.end();
  }

  async stop(): Promise<void> {
    this.#socket?.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #take(packet: Packet, maximumPacketSize: number): void {
    const { messageId = 0 } = packet;
    if (packet.cmd === "connect") {
      this.connect = packet;
      this.connections++;
      this.#send({ cmd: "connack", sessionPresent: false, reasonCode: 0, properties: { maximumPacketSize } });
    }
    if (packet.cmd === "subscribe") this.#send({ cmd: "suback", messageId, granted: [1, 1] });
    if (packet.cmd === "publish") {
      this.published.push(packet);
      this.#send({ cmd: "puback", messageId, reasonCode: 0 });
    }
  }

  #send(packet: Packet): void {
    this.#socket?.write(generate(packet, { protocolVersion: 5 }));
  }
}
