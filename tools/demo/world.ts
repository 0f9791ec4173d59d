import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Aedes } from "aedes";
import { loadProfile } from "../../device-profiles/profiles.ts";
import type { Config } from "../../runtime/config.ts";
import { disk } from "../../runtime/store/disk.ts";
import type { Backend } from "../accelerator/specimens.ts";
import { Repository } from "../fleet/repository.ts";
import { ArtifactServer } from "./artifacts.ts";
import { type DemoConfig, type DemoDevice, startInProcess, startOnTerminal } from "./device.ts";
import { Operator } from "./operator.ts";

const DEVICE = "demo-1";

/** Everything that a fleet of one consists of, on this machine. */
export interface World {
  readonly folder: string;
  readonly profile: string;
  readonly brokerUrl: string;
  /** What the operator publishes, and with what he signs it. */
  readonly artifacts: ArtifactServer;
  readonly repository: Repository;
  readonly operator: Operator;
  readonly device: DemoDevice;
  /** Where the agent answers programs. */
  readonly socket: string;
  /** Stops all of it, the last first. */
  end(): Promise<void>;
}

export interface WorldOptions {
  /** Leave the working folder behind. */
  readonly keep: boolean;
  /** Agent and accelerator in this process. */
  readonly inProcess: boolean;
  /** What computes the accelerator, where it is not in this process. */
  readonly backend: Backend;
}

/** Builds the world piece by piece; if a piece fails, the ones before it are taken down again. */
export async function openWorld({ keep, inProcess, backend }: WorldOptions): Promise<World> {
  const closers: (() => Promise<unknown>)[] = [];
  const end = async (): Promise<void> => {
    for (const close of closers.splice(0).reverse()) await close();
  };
  try {
    const folder = await mkdtemp(join(tmpdir(), "polaredge-demo-"));
    if (!keep) closers.push(() => rm(folder, { recursive: true, force: true }));
    const broker = await openBroker();
    closers.push(broker.close);
    const operatorFolder = join(folder, "operator");
    const repository = await Repository.create(disk, operatorFolder, Date.now(), { count: 2, threshold: 2 });
    const artifacts = await ArtifactServer.start(join(operatorFolder, "repository"));
    closers.push(() => artifacts.stop());
    const operator = await Operator.connect(broker.url, DEVICE);
    closers.push(() => operator.disconnect());
    const profile = await writeProfile(folder);
    const socket = join(folder, "polaredge.sock");
    const trust = { root: join(operatorFolder, "root.json"), repository: artifacts.url };
    const config = await configFor(folder, { profile, trust, broker: broker.url, socket });
    const device = await (inProcess ? startInProcess(folder, config) : startOnTerminal(folder, config, backend));
    closers.push(() => device.stop());
    return { folder, profile, brokerUrl: broker.url, artifacts, repository, operator, device, socket, end };
  } catch (error) {
    await end();
    throw error;
  }
}

async function openBroker(): Promise<{ url: string; close(): Promise<void> }> {
  const aedes = await Aedes.createBroker();
  const server = createServer(aedes.handle);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const close = async (): Promise<void> => {
    await new Promise<void>((resolve) => aedes.close(() => resolve()));
    server.close();
  };
  return { url: `mqtt://127.0.0.1:${(server.address() as AddressInfo).port}`, close };
}

/** A Raspberry Pi 4 at four bits that looks after itself every second instead of every five minutes. */
export async function writeProfile(folder: string): Promise<string> {
  const profile = await loadProfile("raspberry-pi-4");
  const path = join(folder, "profile.json");
  const quantization = { ...profile.quantization, weights: "nf4" };
  const drift = { ...profile.drift, checkSeconds: 1 };
  await writeFile(path, JSON.stringify({ ...profile, name: "demo-raspberry-pi-4", quantization, drift }));
  return path;
}

interface Enrolment {
  readonly profile: string;
  readonly trust: Config["trust"];
  readonly broker: string;
  readonly socket: string;
}

async function configFor(folder: string, { profile, trust, broker, socket }: Enrolment): Promise<DemoConfig> {
  const store = join(folder, "store");
  await mkdir(store, { mode: 0o700 });
  return {
    device: { id: DEVICE, profile },
    store: { path: store },
    trust,
    broker: { url: broker },
    health: { intervalSeconds: 1 },
    serve: { socket },
  };
}
