import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { appendFile, mkdtemp, rm, writeFile } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connectAsync, type MqttClient } from "mqtt";
import { clientConnection, type TlsOptions } from "../../runtime/fleet/connection.ts";
import { certificate } from "../../tools/fleet/certificate.ts";
import { until } from "./until.ts";

/** Debian puts brokers where only root looks. */
const env = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` };

/** Whether Debian's Mosquitto and openssl are here; says so on standard output if not. */
export function mosquittoIsHere(): boolean {
  const missing = ["mosquitto", "openssl"].filter((name) => {
    return spawnSync(name, ["--help"], { env }).error !== undefined;
  });
  if (missing.length > 0) process.stdout.write(`skipped: install ${missing.join(" and ")}\n`);
  return missing.length === 0;
}

/** A real Mosquitto with the configuration that the product writes: TLS 1.3, certificates, ACL. */
export class Mosquitto {
  readonly folder: string;
  readonly port: number;
  #process: ChildProcess | undefined;
  #log = "";

  private constructor(folder: string, port: number) {
    this.folder = folder;
    this.port = port;
  }

  static async start(clients: readonly string[]): Promise<Mosquitto> {
    const folder = await mkdtemp(join(tmpdir(), "polaredge-mosquitto-"));
    const broker = new Mosquitto(folder, await freePort());
    await certificate("broker", { folder, host: "127.0.0.1,localhost", port: broker.port });
    // As root it would go on as a user who can't read the keys of a test.
    if (process.getuid?.() === 0) await appendFile(join(folder, "mosquitto.conf"), "user root\n");
    for (const name of clients) await certificate(name, { folder, port: 0 });
    await broker.begin();
    return broker;
  }

  /** Without TLS and ACL, for load. */
  static async startOpen(): Promise<Mosquitto> {
    const folder = await mkdtemp(join(tmpdir(), "polaredge-mosquitto-"));
    const broker = new Mosquitto(folder, await freePort());
    const settings = ["allow_anonymous true", "set_tcp_nodelay true", "persistence true", "max_queued_messages 100000"];
    const paths = [`persistence_location ${folder}/`, `listener ${broker.port} 127.0.0.1`, "user root"];
    await writeFile(join(folder, "mosquitto.conf"), [...settings, ...paths, ""].join("\n"));
    await broker.begin();
    return broker;
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
    const config = ["-c", join(this.folder, "mosquitto.conf")];
    this.#process = spawn("mosquitto", config, { stdio: ["ignore", "ignore", "pipe"], env });
    this.#process.stderr?.on("data", (data) => {
      this.#log += data;
    });
    await until("mosquitto", () => this.#log.includes("running")).catch((error: unknown) => {
      throw new Error(`${error}\n${this.#log}`);
    });
  }

  /** SIGTERM saves what is retained. */
  async halt(): Promise<void> {
    const gone = new Promise((resolve) => this.#process?.once("exit", resolve));
    this.#process?.kill("SIGTERM");
    await gone;
  }

  /** A client with a certificate of that name. */
  connect(name: string, version: 5 | 4 = 5): Promise<MqttClient> {
    return connectAsync(this.url, {
      ...clientConnection({ url: this.url, tls: this.tls(name) }, version),
      clean: true,
    });
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
