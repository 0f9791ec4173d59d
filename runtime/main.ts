import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import type { DeviceProfile } from "../device-profiles/device.ts";
import { loadAcceleratorProfile, loadProfile } from "../device-profiles/profiles.ts";
import type { openAccelerator } from "../firmware-bridge/open.ts";
import type { StandingLink } from "../firmware-bridge/standing-link.ts";
import { Agent } from "./agent/agent.ts";
import { Leases } from "./agent/leases.ts";
import type { AgentParts, OpenEngine } from "./agent/ports.ts";
import { workerPreparer } from "./agent/preparer.ts";
import { asset } from "./base/assets.ts";
import { systemClock } from "./base/clock.ts";
import { Failure, messageOf } from "./base/failure.ts";
import { type Log, openLog } from "./base/log.ts";
import type { Config } from "./config.ts";
import { blobUrl, Sources } from "./fleet/files/sources.ts";
import { Transfers } from "./fleet/files/transfers.ts";
import { Outbox } from "./fleet/outbox.ts";
import type { Fleet, FleetListener, Info } from "./fleet/topics.ts";
import { Host } from "./health/host.ts";
import { openPlan } from "./plan/open.ts";
import { decodeModel } from "./quantize/file.ts";
import { openServer } from "./serve/server.ts";
import { disk } from "./store/disk.ts";
import { Store } from "./store/store.ts";

/** A device at work. */
export interface Device {
  readonly agent: Agent;
  readonly log: Log;
  stop(): Promise<void>;
}

/**
 * From a configuration to a device at work: the parts, joined. The agent (agent/agent.ts) does the rest.
 * @param open who wants to hold the accelerator too, passes its own
 * @throws Failure profile/..., store/corrupt, serve/unavailable
 */
export async function startDevice(config: Config, open?: typeof openAccelerator): Promise<Device> {
  const log = await openLog(config.log.level);
  const profile = await loadProfile(config.device.profile);
  const link = config.accelerator ? await standingLink(config.accelerator, log, open) : undefined;
  const leases = new Leases(link);
  const store = await Store.open(disk, config.store.path);
  const transfers = new Transfers();
  const uplink = uplinkOf(config, await Outbox.open(disk, config.store.path), transfers, log);
  const sources = new Sources(transfers, systemClock);
  const parts: AgentParts = {
    info: infoOf(config, profile),
    profile,
    store,
    ...(await trustOf(config, store, sources)),
    connect: uplink.connect,
    fetch: (url, part, options) => sources.fetch(url, part, options),
    preparer: workerPreparer(profile, leases),
    openEngine: engineOpener(profile, log),
    leases,
    host: new Host(),
    clock: systemClock,
    log,
    reservoirSamples: config.reservoir.samples,
    healthSeconds: config.health.intervalSeconds,
  };
  const agent = await Agent.start(parts);
  const stop = async (): Promise<void> => {
    uplink.begin();
    await agent.stop();
    await link?.close();
    log.info("stopped");
  };
  try {
    const server = config.serve && (await openServer(config.serve, agent));
    uplink.begin();
    log.info("at work", { ...parts.info });
    return {
      agent,
      log,
      async stop() {
        await server?.close();
        await stop();
      },
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Loaded where it is asked for only: a device without trust has no use for it. */
async function trustOf(
  { trust }: Config,
  store: Store,
  sources: Sources,
): Promise<Pick<AgentParts, "trust" | "blobUrl">> {
  if (!trust) return { trust: undefined, blobUrl: (sha256) => sha256 };
  const { Trust } = await import("./trust/trust.ts");
  const root = await readFile(trust.root, "utf8").catch((error: unknown) => {
    throw new Failure("config/invalid", `trust.root: ${messageOf(error)}`, { path: trust.root }, error);
  });
  const fetch = sources.small(trust.repository);
  return {
    trust: await Trust.start({ root, fetch, file: store.trust, blobs: store.blobs, clock: systemClock }),
    blobUrl: (sha256) => blobUrl(trust.repository, sha256),
  };
}

function infoOf({ device, accelerator }: Config, profile: DeviceProfile): AgentParts["info"] {
  const { version } = JSON.parse(readFileSync(asset("package.json"), "utf8")) as { version: string };
  return {
    device: device.id,
    runtime: version,
    node: process.version,
    profile: profile.name,
    accelerator: accelerator?.profile ?? null,
    tags: device.tags,
  } satisfies Omit<Info, "v" | "boot">;
}

/** The way to the fleet. It is taken once the device serves: loading what speaks MQTT takes as long as half of that. */
function uplinkOf(
  { broker, device, sparkplug }: Config,
  outbox: Outbox,
  transfers: Transfers,
  log: Log,
): { readonly connect: AgentParts["connect"]; readonly begin: () => void } {
  let begin = (): void => undefined;
  if (!broker) return { connect: () => alone, begin };
  const begun = new Promise<void>((resolve) => {
    begin = resolve;
  });
  const own = { device: device.id, clock: systemClock, log };
  const open = async (listener: FleetListener): Promise<Fleet> => {
    await begun;
    const { openFleet } = await import("./fleet/mqtt.ts");
    const fleet = openFleet({ ...own, broker, listener, outbox, transfers });
    if (!sparkplug) return fleet;
    const { EdgeNode, withEdgeNode } = await import("./fleet/sparkplug/edge-node.ts");
    return withEdgeNode(fleet, new EdgeNode({ ...own, group: sparkplug.group, broker: sparkplug.broker ?? broker }));
  };
  const connect = (listener: FleetListener): Fleet => {
    const fleet = open(listener);
    return {
      publish: async (name, payload) => (await fleet).publish(name, payload),
      close: async () => (await fleet).close(),
    };
  };
  return { connect, begin };
}

/** For a device without a broker. */
const alone: Fleet = { publish: async () => undefined, close: async () => undefined };

function engineOpener(profile: DeviceProfile, log: Log): OpenEngine {
  return async (model, unit) => {
    const told = new Set<string>();
    const onFault = (layer: string, error: Error): void => {
      if (!told.has(layer)) log.warn("a product was computed digitally", { layer, error });
      told.add(layer);
    };
    return openPlan(decodeModel(model), { profile, unit, onFault });
  };
}

/**
 * Opened when the first layers are placed: a device starts and serves without it, whatever is wrong with its cable. A
 * device that has none does not load what speaks to it.
 */
async function standingLink(
  { address, profile: name }: NonNullable<Config["accelerator"]>,
  log: Log,
  open: typeof openAccelerator | undefined,
): Promise<StandingLink> {
  const profile = await loadAcceleratorProfile(name);
  const bridge = await import("../firmware-bridge/open.ts");
  const { StandingLink } = await import("../firmware-bridge/standing-link.ts");
  return new StandingLink({
    name: address,
    open: () => (open ?? bridge.openAccelerator)(address, profile),
    isPresent: () => bridge.isPresent(address),
    clock: systemClock,
    onFault: (error) => log.debug("the accelerator does not answer", { address, error }),
  });
}
