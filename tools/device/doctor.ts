import { readdir } from "node:fs/promises";
import colors from "picocolors";
import { loadAcceleratorProfile } from "../../device-profiles/profiles.ts";
import { isPresent, openAccelerator } from "../../firmware-bridge/open.ts";
import { selfTest } from "../../firmware-bridge/self-test.ts";
import { messageOf } from "../../runtime/base/failure.ts";
import { type Config, loadConfig } from "../../runtime/config.ts";
import { topicOf } from "../../runtime/fleet/topics.ts";
import { Host } from "../../runtime/health/host.ts";
import { disk } from "../../runtime/store/disk.ts";
import { Store } from "../../runtime/store/store.ts";
import { pinnedRoot, refreshChain } from "../../runtime/trust/chain.ts";
import { connectTo } from "../fleet/connect.ts";
import { repositoryReader } from "./repository-reader.ts";

/** One thing that was looked at. */
export interface Finding {
  readonly what: string;
  readonly good: boolean;
  readonly found: string;
  /** What to do about it. */
  readonly advice?: string;
}

type Check = (config: Config) => Promise<Finding | undefined>;

const MB = 2 ** 20;
const LEAST_FREE_MB = 64;
const HOTTEST_C = 80;
/** Signatures are years younger than that; a clock that is older has never been set. */
const CLOCK_BEGINS = Date.UTC(2025, 0, 1);

/** Each looks at one thing and says what is wrong with it; undefined where the configuration has no such thing. */
const checks: Readonly<Record<string, { readonly check: Check; readonly advice: string }>> = {
  clock: {
    advice: "set the clock (timedatectl set-ntp true): certificates and signatures have dates",
    check: async () => {
      const now = Date.now();
      return { what: "clock", good: now > CLOCK_BEGINS, found: new Date(now).toISOString() };
    },
  },
  disk: {
    advice: "store.path must be a folder of the agent's user, with room for two models and their samples",
    check: async ({ store: { path } }) => {
      const freeMb = (await (await Store.open(disk, path)).freeBytes()) / MB;
      return { what: "disk", good: freeMb >= LEAST_FREE_MB, found: `${path}: ${freeMb.toFixed(0)} MB free` };
    },
  },
  temperature: {
    advice: "give it air: above 80 °C a Raspberry Pi slows down",
    check: async () => {
      const { temp_c: celsius } = await new Host().read();
      if (celsius === null) return undefined;
      return { what: "temperature", good: celsius < HOTTEST_C, found: `${celsius} °C` };
    },
  },
  accelerator: {
    advice: "plug it in, and put the agent's user into the group dialout; see /dev/serial/by-id",
    check: async ({ accelerator }) => {
      if (!accelerator) return undefined;
      if (await isPresent(accelerator.address)) return testOf(accelerator);
      const ports = await readdir("/dev/serial/by-id").catch(() => []);
      const found = `nothing; there are ${ports.join(", ") || "no serial ports"}`;
      return { what: "accelerator", good: false, found };
    },
  },
  trust: {
    advice: "compare trust.root with the operator's root.json; is the repository published, and its timestamp renewed?",
    check: async (config) => {
      const { trust } = config;
      if (!trust) return { what: "trust", good: true, found: "null: jobs are not signed" };
      const { fetch, close } = await repositoryReader(config, trust.repository);
      const load = async (name: string, maxBytes: number): Promise<string | undefined> => {
        const data = await fetch(`metadata/${name}`, maxBytes, AbortSignal.timeout(10_000));
        return data && new TextDecoder().decode(data);
      };
      try {
        const root = new TextDecoder().decode(await disk.read(trust.root));
        const { timestamp } = await refreshChain(pinnedRoot(root), load, Date.now());
        return { what: "trust", good: true, found: `valid until ${timestamp.metadata.signed.expires}` };
      } finally {
        await close();
      }
    },
  },
  broker: {
    advice:
      "check broker.url, the TLS files, and that the broker's ACL lets this device write its state but not its goal",
    check: async ({ broker, device }) => (broker ? atBroker(broker, device.id) : undefined),
  },
};

/** Lets the accelerator test itself, unless the agent has it. */
async function testOf({ address, profile }: NonNullable<Config["accelerator"]>): Promise<Finding> {
  const what = "accelerator";
  const opened = await openAccelerator(address, await loadAcceleratorProfile(profile)).catch((error: unknown) => {
    if (messageOf(error).includes("Cannot lock port")) return undefined;
    throw error;
  });
  if (!opened) return { what, good: true, found: `${address}, in use` };
  try {
    const { uid } = opened.session.device;
    const result = await selfTest(opened.session);
    if (!result) return { what, good: true, found: `${address}: chip ${uid}, which has no self-test` };
    const { groups, weak, deadColumns } = result;
    const dead = deadColumns.map(({ tile, column }) => `${tile}/${column}`).join(", ");
    const found = `${address}: chip ${uid}, ${weak} of ${groups} groups of cells weak, dead columns: ${dead || "none"}`;
    return { what, good: deadColumns.length === 0, found };
  } finally {
    await opened.close();
  }
}

/** Connects beside the agent, under another id, so that the agent is not thrown out. */
async function atBroker(broker: NonNullable<Config["broker"]>, id: string): Promise<Finding> {
  const client = await connectTo(broker, `${id}-doctor`);
  try {
    await client.subscribeAsync(topicOf(id, "job/desired"), { qos: 1 });
    const good = { what: "broker", good: true };
    if (client.options.protocolVersion === 4)
      return { ...good, found: "connected; MQTT 3.1.1 does not tell of rights" };
    // Empty and not retained: nobody takes it for anything.
    const denied = await client.publishAsync(topicOf(id, "event"), "", { qos: 1 }).then(
      () => false,
      () => true,
    );
    if (denied) return { what: "broker", good: false, found: "the ACL does not let this device write its own topics" };
    const forged = await client.publishAsync(topicOf(id, "cmd/none"), "", { qos: 1 }).then(
      () => true,
      () => false,
    );
    return {
      ...good,
      found: forged ? "connected, but its ACL lets a device write commands" : "connected, ACL in order",
    };
  } finally {
    await client.endAsync(true);
  }
}

/** What a device needs, looked at one by one. @throws Failure config/invalid */
export async function examine(path: string): Promise<readonly Finding[]> {
  const config = await loadConfig(path);
  const findings: Finding[] = [{ what: "configuration", good: true, found: path }];
  for (const [what, { check, advice }] of Object.entries(checks)) {
    const finding = await check(config).catch((error: unknown) => ({ what, good: false, found: messageOf(error) }));
    if (finding) findings.push(finding.good ? finding : { ...finding, advice });
  }
  return findings;
}

/** `polaredge doctor`. Whether all is well. */
export async function doctor({ config, json }: { readonly config: string; readonly json?: boolean }): Promise<boolean> {
  const findings = await examine(config);
  if (json === true) console.log(JSON.stringify(findings, undefined, 2));
  else {
    for (const { what, good, found, advice } of findings) {
      console.log(`${good ? colors.green("✓") : colors.red("✗")} ${what.padEnd(13)} ${found}`);
      if (advice !== undefined) console.log(`  ${advice}`);
    }
  }
  return findings.every(({ good }) => good);
}
