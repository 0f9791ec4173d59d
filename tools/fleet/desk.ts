import { readFile } from "node:fs/promises";
import { join } from "node:path";
import * as z from "zod/mini";
import { systemClock } from "../../runtime/base/clock.ts";
import { Failure, messageOf } from "../../runtime/base/failure.ts";
import { parseJson } from "../../runtime/base/json.ts";
import { describeIssues } from "../../runtime/base/schema.ts";
import { brokerOptions } from "../../runtime/config.ts";
import type { BrokerOptions } from "../../runtime/fleet/connection.ts";
import { disk } from "../../runtime/store/disk.ts";
import { Artifacts } from "./artifacts.ts";
import { Audit, type AuditHead } from "./audit.ts";
import { connectTo } from "./connect.ts";
import { Engine } from "./engine.ts";
import { Repository } from "./repository.ts";
import { FleetView } from "./view.ts";

/** Where an operator works: `fleet.json`. */
export interface DeskConfig {
  readonly broker: BrokerOptions;
  /** With keys, repository and audit log (`polaredge fleet keys`). */
  readonly folder: string;
}

const RECONNECT_MS = 1000;
const AUDITS = "polaredge/fleet/audit/";
/** Retained messages come at once. */
const RETAINED_MS = 300;

const config: z.ZodMiniType<DeskConfig> = z.strictObject({ broker: brokerOptions, folder: z.string() });

/** @throws Failure config/invalid */
export async function readDeskConfig(path: string): Promise<DeskConfig> {
  const text = await readFile(path, "utf8").catch((error: unknown) => {
    throw new Failure("config/invalid", `${path}: can't be read: ${messageOf(error)}`, { path }, error);
  });
  const json = parseJson(text, path, "config/invalid");
  const parsed = config.safeParse(json);
  if (parsed.success) return parsed.data;
  throw new Failure("config/invalid", `${path}: ${describeIssues("config", json, parsed.error.issues)}`, { path });
}

/** An operator at work. Several may be: what they know is at the broker, and orders are numbered by the clock. */
export interface Desk {
  readonly view: FleetView;
  readonly engine: Engine;
  readonly repository: Repository;
  readonly audit: Audit;
  /** Where the audit logs of this fleet's operators ended, as the broker remembers it. */
  auditHeads(): Promise<readonly AuditHead[]>;
  /** From now on devices get the repository's files at the broker too. */
  shareArtifacts(): Promise<void>;
  close(): Promise<void>;
}

/** @throws Failure config/invalid, input/missing, fleet/unreachable */
export async function openDesk(path: string): Promise<Desk> {
  const { broker, folder } = await readDeskConfig(path);
  const repository = await Repository.open(disk, folder);
  const client = await connectTo(broker);
  client.options.reconnectPeriod = RECONNECT_MS;
  const view = await FleetView.open(client);
  const audit = new Audit(disk, folder, (head) =>
    client.publishAsync(AUDITS + head.log.slice(0, 16), JSON.stringify(head), { qos: 1, retain: true }),
  );
  const engine = new Engine({ client, view, repository, audit, clock: systemClock });
  const shareArtifacts = async (): Promise<void> => {
    await Artifacts.serve(client, disk, join(folder, "repository"));
  };
  const auditHeads = async (): Promise<readonly AuditHead[]> => {
    const heads = new Map<string, AuditHead>();
    client.on("message", (topic, payload) => {
      if (topic.startsWith(AUDITS)) heads.set(topic, JSON.parse(String(payload)) as AuditHead);
    });
    await client.subscribeAsync(`${AUDITS}+`, { qos: 1 });
    await systemClock.sleep(RETAINED_MS);
    return [...heads.values()];
  };
  return { view, engine, repository, audit, auditHeads, shareArtifacts, close: () => client.endAsync() };
}
