import type { AddressInfo } from "node:net";
import { createServer, type Server, type Socket } from "node:net";
import { Aedes, type AedesPublishPacket } from "aedes";
import { topicOf } from "../../runtime/fleet/topics.ts";

/** A real broker in this process, which hears everything and can disappear. */
export class Broker {
  readonly heard: { readonly name: string; readonly text: string; readonly retain: boolean }[] = [];
  readonly #device: string;
  readonly #aedes: Aedes;
  readonly #sockets: Set<Socket> = new Set();
  readonly #server: Server;

  private constructor(device: string, aedes: Aedes) {
    this.#device = device;
    this.#aedes = aedes;
    this.#server = createServer((socket) => {
      this.#sockets.add(socket);
      socket.on("error", () => undefined);
      aedes.handle(socket);
    });
    aedes.on("publish", (packet: AedesPublishPacket) => {
      const prefix = topicOf(device, "");
      if (!packet.topic.startsWith(prefix)) return;
      this.heard.push({
        name: packet.topic.slice(prefix.length),
        text: packet.payload.toString(),
        retain: packet.retain,
      });
    });
  }

  static async start(device: string): Promise<Broker> {
    const broker = new Broker(device, await Aedes.createBroker());
    await broker.listen(0);
    return broker;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get url(): string {
    return `mqtt://127.0.0.1:${this.port}`;
  }

  listen(port: number): Promise<void> {
    return new Promise((resolve) => this.#server.listen(port, "127.0.0.1", resolve));
  }

  /** The network is gone, without a word. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#sockets.clear();
  }

  /** Nobody listens any more, until `listen`. */
  async vanish(): Promise<number> {
    const { port } = this;
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.cut();
    await closed;
    return port;
  }

  /** As the fleet. */
  say(name: string, payload: string | Uint8Array, retain = false): Promise<void> {
    const topic = topicOf(this.#device, name);
    return new Promise((resolve, reject) => {
      const packet = { cmd: "publish", topic, payload: Buffer.from(payload), qos: 1, retain, dup: false } as const;
      this.#aedes.publish(packet, (error) => (error ? reject(error) : resolve()));
    });
  }

  texts(name: string): string[] {
    return this.heard.filter((message) => message.name === name).map(({ text }) => text);
  }

  async stop(): Promise<void> {
    this.cut();
    await new Promise<void>((resolve) => this.#aedes.close(() => resolve()));
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
