import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { appendFile, mkdtemp, rm, writeFile } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { MqttClient } from "mqtt";
import type { TlsOptions } from "../../runtime/fleet/connection.ts";
import { certificate } from "../../tools/fleet/certificate.ts";
import { connectTo } from "../../tools/fleet/connect.ts";
import { until } from "./until.ts";

/** Debian puts brokers where only root looks. */
const env = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` };

/** A broker from Debian, with the configuration that the product writes. */
export interface BrokerKind {
  readonly program: string;
  readonly config: string;
  /** What it says when it listens. */
  readonly ready: string;
  /** Of its configuration: without TLS and rights, for load. */
  open(folder: string, port: number): string;
  /** What a test adds to the product's configuration. */
  readonly more: string;
}

export const mosquitto: BrokerKind = {
  program: "mosquitto",
  config: "mosquitto.conf",
  ready: "running",
  // As root it would go on as a user who can't read the keys of a test.
  more: process.getuid?.() === 0 ? "user root\n" : "",
  open: (folder, port) =>
    [
      ...["allow_anonymous true", "set_tcp_nodelay true", "persistence true", "max_queued_messages 100000"],
      ...[`persistence_location ${folder}/`, `listener ${port} 127.0.0.1`, "user root", ""],
    ].join("\n"),
};

export const nats: BrokerKind = {
  program: "nats-server",
  config: "nats.conf",
  ready: "Server is ready",
  more: "",
  open: (folder, port) =>
    `server_name: a\nlisten: 127.0.0.1:-1\njetstream { store_dir: "${folder}/nats" }\nmqtt { listen: "127.0.0.1:${port}" }\n`,
};

/** Whether such a broker and openssl are here; says so on standard output if not. */
export function isHere(kind: BrokerKind = mosquitto): boolean {
  const missing = [kind.program, "openssl"].filter((name) => {
    return spawnSync(name, ["--help"], { env }).error !== undefined;
  });
  if (missing.length > 0) process.stdout.write(`skipped: install ${missing.join(" and ")}\n`);
  return missing.length === 0;
}

/** A real broker with the configuration that the product writes: TLS 1.3, certificates, ACL. */
export class RealBroker {
  readonly folder: string;
  readonly port: number;
  readonly #kind: BrokerKind;
  #process: ChildProcess | undefined;
  #log = "";

  private constructor(folder: string, port: number, kind: BrokerKind) {
    this.#kind = kind;
    this.folder = folder;
    this.port = port;
  }

  static async start(clients: readonly string[], kind: BrokerKind = mosquitto): Promise<RealBroker> {
    const broker = await RealBroker.#in(kind);
    const { folder, port } = broker;
    await certificate("broker", { folder, host: "127.0.0.1,localhost", port });
    await appendFile(join(folder, kind.config), kind.more);
    for (const name of clients) await certificate(name, { folder, port: 0 });
    await broker.begin();
    return broker;
  }

  /** Without TLS and ACL, for load. */
  static async startOpen(kind: BrokerKind = mosquitto): Promise<RealBroker> {
    const broker = await RealBroker.#in(kind);
    await writeFile(join(broker.folder, kind.config), kind.open(broker.folder, broker.port));
    await broker.begin();
    return broker;
  }

  static async #in(kind: BrokerKind): Promise<RealBroker> {
    return new RealBroker(await mkdtemp(join(tmpdir(), `polaredge-${kind.program}-`)), await freePort(), kind);
  }

  get openUrl(): string {
    return `mqtt://127.0.0.1:${this.port}`;
  }

  get url(): string {
    return `mqtts://127.0.0.1:${this.port}`;
  }

  get pid(): number {
    return this.#process?.pid ?? 0;
  }

  tls(name: string): TlsOptions {
    const [ca, certificate, key] = ["ca.crt", `${name}.crt`, `${name}.key`].map((file) => join(this.folder, file));
    return { ca, certificate, key };
  }

  async begin(): Promise<void> {
    this.#log = "";
    const { program, config, ready } = this.#kind;
    this.#process = spawn(program, ["-c", join(this.folder, config)], { stdio: ["ignore", "ignore", "pipe"], env });
    this.#process.stderr?.on("data", (data) => {
      this.#log += data;
    });
    await until(program, () => this.#log.includes(ready)).catch((error: unknown) => {
      throw new Error(`${error}\n${this.#log}`);
    });
  }

  /** SIGTERM saves what is retained. */
  async halt(): Promise<void> {
    const gone = new Promise((resolve) => this.#process?.once("exit", resolve));
    this.#process?.kill("SIGTERM");
    await gone;
  }

  /** An operator, or somebody else with a certificate of that name. */
  connect(name: string): Promise<MqttClient> {
    return connectTo({ url: this.url, tls: this.tls(name) });
  }

  async stop(): Promise<void> {
    await this.halt();
    await rm(this.folder, { recursive: true });
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
