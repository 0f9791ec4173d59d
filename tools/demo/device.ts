import { type ChildProcess, spawn } from "node:child_process";
import { createWriteStream } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { loadAcceleratorProfile } from "../../device-profiles/profiles.ts";
import { type OpenAccelerator, openAccelerator } from "../../firmware-bridge/open.ts";
import { type Config, parseConfig } from "../../runtime/config.ts";
import { startDevice } from "../../runtime/main.ts";
import { Port } from "../accelerator/port.ts";
import { type Backend, startSpecimen } from "../accelerator/specimens.ts";

export const ACCELERATOR = "sram-bitplane-64x64";
export const SPECIMEN = 7;
const CLI = fileURLToPath(new URL(`../cli${extname(import.meta.url)}`, import.meta.url));

/** A configuration file but for the accelerator, whose address is known when it is plugged in. */
export type DemoConfig = Pick<Config, "device" | "store" | "trust" | "broker" | "health"> &
  Partial<Pick<Config, "serve">>;

/** What can happen to an accelerator on a cable. */
export interface Mishaps {
  unplug(): Promise<void>;
  plug(): Promise<unknown>;
  /** Its supply fails for a moment. */
  reset(): void;
}

/** An agent with an emulated accelerator. */
export interface DemoDevice {
  /** Where the accelerator is plugged in. */
  readonly where: string;
  /** None where there is no cable. */
  readonly mishaps?: Mishaps;
  /** So many seconds go by for the accelerator, at once. */
  age(seconds: number): Promise<unknown>;
  /** The agent's last words. */
  log(): Promise<string>;
  stop(): Promise<void>;
}

/** The real thing: the accelerator behind a serial port, the agent as systemd would start it. */
export async function startOnTerminal(folder: string, config: DemoConfig, backend: Backend): Promise<DemoDevice> {
  const start = { seed: SPECIMEN, ageSeconds: 0 };
  const specimen = await startSpecimen(backend, await loadAcceleratorProfile(ACCELERATOR), start);
  const port = new Port(specimen, join(folder, "accelerator"));
  const address = await port.plug();
  const path = join(folder, "polaredge.json");
  const accelerator = { address, profile: ACCELERATOR };
  await writeFile(path, JSON.stringify({ ...config, accelerator }, undefined, 2));
  const log = join(folder, "agent.log");
  const agent = spawnAgent(path, log);
  return {
    where: `at ${address}`,
    mishaps: { unplug: () => port.unplug(), plug: () => port.plug(), reset: () => specimen.reset() },
    age: (seconds) => specimen.age(seconds),
    log: async () => (await readFile(log, "utf8")).split("\n").slice(-12).join("\n"),
    async stop() {
      await stopAgent(agent);
      await port.unplug();
      await specimen.stop();
    },
  };
}

/** Where there are no pseudo terminals: the same agent and the same protocol, in this process. */
export async function startInProcess(_folder: string, config: DemoConfig): Promise<DemoDevice> {
  const address = `emulator:${ACCELERATOR}?seed=${SPECIMEN}`;
  let link: OpenAccelerator | undefined;
  const text = JSON.stringify({ ...config, accelerator: { address, profile: ACCELERATOR }, log: { level: "error" } });
  const device = await startDevice(parseConfig(text, "demo"), async (...at) => {
    link = await openAccelerator(...at);
    return link;
  });
  return {
    where: "in this process",
    age: async (seconds) => link?.emulated?.chip.age(seconds),
    log: async () => "(it writes to standard output)",
    stop: () => device.stop(),
  };
}

/** In a process of its own, with a configuration file. */
function spawnAgent(config: string, logFile: string): ChildProcess {
  const agent = spawn(process.execPath, [...process.execArgv, CLI, "run", "--config", config], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  const log = createWriteStream(logFile);
  agent.stdout.pipe(log);
  agent.stderr.pipe(log);
  return agent;
}

async function stopAgent(agent: ChildProcess): Promise<void> {
  if (agent.exitCode !== null || agent.signalCode !== null) return;
  const gone = new Promise((resolve) => agent.once("exit", resolve));
  agent.kill("SIGTERM");
  const late = setTimeout(() => agent.kill("SIGKILL"), 5000);
  await gone;
  clearTimeout(late);
}
