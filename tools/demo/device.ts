import { type ChildProcess, spawn } from "node:child_process";
import { createWriteStream } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { loadAcceleratorProfile } from "../../device-profiles/profiles.ts";
import { EmulatedDevice } from "../../firmware-bridge/emulator/device.ts";
import { serve } from "../../firmware-bridge/emulator/serve.ts";
import { type OpenAccelerator, openAccelerator } from "../../firmware-bridge/open.ts";
import { openPty } from "../../firmware-bridge/transport/pty.ts";
import { type Config, parseConfig } from "../../runtime/config.ts";
import { startDevice } from "../../runtime/main.ts";

export const ACCELERATOR = "sram-bitplane-64x64";
export const SPECIMEN = 7;

/** A configuration file but for the accelerator, whose address is known when it is plugged in. */
export type DemoConfig = Pick<Config, "device" | "store" | "trust" | "broker" | "health">;

/** An agent with an emulated accelerator. */
export interface DemoDevice {
  /** Where the accelerator is plugged in. */
  readonly where: string;
  /** So many seconds go by for the accelerator, at once. */
  age(seconds: number): void;
  /** The agent's last words. */
  log(): Promise<string>;
  stop(): Promise<void>;
}

/** The real thing: the accelerator behind a serial port, the agent as systemd would start it. */
export async function startOnTerminal(folder: string, config: DemoConfig): Promise<DemoDevice> {
  const emulated = new EmulatedDevice(await loadAcceleratorProfile(ACCELERATOR), { seed: SPECIMEN });
  const pty = await openPty();
  void serve(emulated, pty.device);
  const path = join(folder, "polaredge.json");
  const accelerator = { address: pty.path, profile: ACCELERATOR };
  await writeFile(path, JSON.stringify({ ...config, accelerator }, undefined, 2));
  const log = join(folder, "agent.log");
  const agent = spawnAgent(path, log);
  return {
    where: `at ${pty.path}`,
    age: (seconds) => emulated.chip.age(seconds),
    log: async () => (await readFile(log, "utf8")).split("\n").slice(-12).join("\n"),
    async stop() {
      await stopAgent(agent);
      await pty.unplug();
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
    age: (seconds) => link?.emulated?.chip.age(seconds),
    log: async () => "(it writes to standard output)",
    stop: () => device.stop(),
  };
}

/** In a process of its own, with a configuration file. */
function spawnAgent(config: string, logFile: string): ChildProcess {
  const agent = spawn(process.execPath, [...process.execArgv, process.argv[1], "run", "--config", config], {
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
