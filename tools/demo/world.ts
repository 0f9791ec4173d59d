import { type ChildProcess, spawn } from "node:child_process";
import { createWriteStream } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Aedes } from "aedes";
import { loadAcceleratorProfile, loadProfile } from "../../device-profiles/profiles.ts";
import { EmulatedDevice } from "../../firmware-bridge/emulator/device.ts";
import { serve } from "../../firmware-bridge/emulator/serve.ts";
import { openPty } from "../../firmware-bridge/transport/pty.ts";
import { ArtifactServer } from "./artifacts.ts";
import { Operator } from "./operator.ts";

export const DEVICE = "demo-1";
export const ACCELERATOR = "sram-bitplane-64x64";
export const SPECIMEN = 7;

/** Everything that a fleet of one consists of, on this machine. */
export interface World {
  readonly folder: string;
  readonly profile: string;
  readonly brokerUrl: string;
  readonly artifacts: ArtifactServer;
  /** Where the accelerator is plugged in, and the accelerator itself. */
  readonly port: string;
  readonly accelerator: EmulatedDevice;
  readonly operator: Operator;
  /** The last lines of the agent's log. */
  agentLog(): Promise<string>;
  /** Stops all of it, the last first. */
  end(): Promise<void>;
}

/** Builds the world piece by piece; if a piece fails, the ones before it are taken down again. */
export async function openWorld(keep: boolean): Promise<World> {
  const closers: (() => Promise<unknown>)[] = [];
  const end = async (): Promise<void> => {
    for (const close of closers.splice(0).reverse()) await close();
  };
  try {
    const folder = await mkdtemp(join(tmpdir(), "polaredge-demo-"));
    if (!keep) closers.push(() => rm(folder, { recursive: true, force: true }));
    const broker = await openBroker();
    closers.push(broker.close);
    const artifacts = await ArtifactServer.start();
    closers.push(() => artifacts.stop());
    const accelerator = new EmulatedDevice(await loadAcceleratorProfile(ACCELERATOR), {
      seed: SPECIMEN,
      ageSeconds: 0,
    });
    const pty = await openPty();
    closers.push(() => pty.unplug());
    void serve(accelerator, pty.device);
    const operator = await Operator.connect(broker.url, DEVICE);
    closers.push(() => operator.disconnect());
    const profile = await writeProfile(folder);
    const agent = await startAgent(folder, profile, broker.url, pty.path);
    closers.push(() => stopAgent(agent));
    return {
      folder,
      profile,
      brokerUrl: broker.url,
      artifacts,
      port: pty.path,
      accelerator,
      operator,
      agentLog: async () => (await readFile(join(folder, "agent.log"), "utf8")).split("\n").slice(-12).join("\n"),
      end,
    };
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
async function writeProfile(folder: string): Promise<string> {
  const profile = await loadProfile("raspberry-pi-4");
  const path = join(folder, "profile.json");
  const quantization = { ...profile.quantization, weights: "nf4" };
  const drift = { ...profile.drift, checkSeconds: 1 };
  await writeFile(path, JSON.stringify({ ...profile, name: "demo-raspberry-pi-4", quantization, drift }));
  return path;
}

/** The agent as systemd would start it: a process of its own with a configuration file. */
async function startAgent(folder: string, profile: string, broker: string, port: string): Promise<ChildProcess> {
  const store = join(folder, "store");
  await mkdir(store, { mode: 0o700 });
  const config = {
    device: { id: DEVICE, profile },
    store: { path: store },
    broker: { url: broker },
    accelerator: { address: port, profile: ACCELERATOR },
    health: { intervalSeconds: 1 },
  };
  const path = join(folder, "polaredge.json");
  await writeFile(path, JSON.stringify(config, undefined, 2));
  const command = process.argv[1];
  const child = spawn(process.execPath, [...process.execArgv, command, "run", "--config", path], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  const log = createWriteStream(join(folder, "agent.log"));
  child.stdout.pipe(log);
  child.stderr.pipe(log);
  return child;
}

async function stopAgent(agent: ChildProcess): Promise<void> {
  if (agent.exitCode !== null || agent.signalCode !== null) return;
  const gone = new Promise((resolve) => agent.once("exit", resolve));
  agent.kill("SIGTERM");
  const late = setTimeout(() => agent.kill("SIGKILL"), 5000);
  await gone;
  clearTimeout(late);
}
