import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { systemClock } from "../../../runtime/base/clock.ts";
import { Failure, messageOf } from "../../../runtime/base/failure.ts";
import { disk } from "../../../runtime/store/disk.ts";
import { untilSignal } from "../../cli/signal.ts";
import { Artifacts } from "../artifacts.ts";
import { Audit } from "../audit.ts";
import { type DeskConfig, readDeskConfig } from "../desk.ts";
import { Engine } from "../engine.ts";
import { Repository } from "../repository.ts";
import { FleetView } from "../view.ts";
import { Actions } from "./actions.ts";
import { BrokerLine } from "./broker-line.ts";
import { Feed } from "./feed.ts";
import { Guard, isLoopback } from "./guard.ts";
import { openPage, type PageServer } from "./server.ts";

export interface ServeOptions {
  readonly config: string;
  readonly host: string;
  readonly port: number;
  readonly tokenFile?: string;
  readonly allowActions?: boolean;
  readonly json?: boolean;
}

export interface FleetPage {
  readonly url: string;
  /** To be told on the page, where it is needed. */
  readonly token: string | undefined;
  close(): Promise<void>;
}

/** `polaredge fleet serve`, until a signal. @throws Failure config/invalid, serve/unavailable */
export async function serve(options: ServeOptions): Promise<void> {
  const page = await openFleetPage(await readDeskConfig(options.config), options);
  const rights = options.allowActions === true ? "may act" : "may only look; --allow-actions lets it act";
  const token = options.tokenFile === undefined ? page.token : undefined;
  if (options.json) console.log(JSON.stringify({ url: page.url, actions: options.allowActions === true, token }));
  else console.log(`${page.url}  (${rights})${token === undefined ? "" : `\ntoken  ${token}`}`);
  await untilSignal();
  await page.close();
}

/** Listens at once, whether the broker is there or not. */
export async function openFleetPage(
  { broker, folder }: DeskConfig,
  { host, port, tokenFile, allowActions = false }: Omit<ServeOptions, "config">,
): Promise<FleetPage> {
  const token = await tokenFor(host, tokenFile);
  const repository = allowActions ? await Repository.open(disk, folder) : undefined;
  const audit = new Audit(disk, folder);
  const view = new FleetView();
  const line = new BrokerLine(broker, () => feed.touch());
  const feed = new Feed({ view, broker: line, actions: allowActions });
  let engine: Engine | undefined;
  const actions = new Actions({ view, audit, engine: () => (line.status.connected ? engine : undefined), say: log });
  const server = await openPage(host, port, {
    feed,
    guard: new Guard(token),
    actions: allowActions ? actions : undefined,
    audit: () => auditOf(audit),
  });
  const opened = line.open().then(async (client) => {
    if (!client) return;
    if (repository) {
      engine = new Engine({ client, view, repository, audit, clock: systemClock });
      await Artifacts.serve(client, disk, join(folder, "repository"));
    }
    await view.follow(client);
  });
  opened.catch((error: unknown) => log(`the fleet is not heard: ${messageOf(error)}`));
  return { url: urlOf(host, server), token, close: () => closeAll(server, feed, line) };
}

async function closeAll(server: PageServer, feed: Feed, line: BrokerLine): Promise<void> {
  await server.close();
  feed.close();
  await line.close();
}

/** None is needed on this machine, unless one is asked for. */
async function tokenFor(host: string, file: string | undefined): Promise<string | undefined> {
  if (file === undefined) return isLoopback(host) ? undefined : randomBytes(24).toString("base64url");
  const text = await readFile(file, "utf8").catch((error: unknown) => {
    throw new Failure("config/invalid", `--token-file ${file}: ${messageOf(error)}`, { file }, error);
  });
  if (text.trim().length >= 16) return text.trim();
  throw new Failure("config/invalid", `--token-file ${file}: expected at least 16 characters`, { file });
}

/** The newest first; a log that was changed is shown as such, not hidden. */
async function auditOf(audit: Audit): Promise<unknown> {
  try {
    return { entries: (await audit.read()).slice(-500).reverse() };
  } catch (error) {
    return { entries: [], fault: messageOf(error) };
  }
}

function urlOf(host: string, { port }: PageServer): string {
  return `http://${host.includes(":") ? `[${host}]` : host}:${port}/`;
}

function log(line: string): void {
  console.log(`${new Date().toISOString()}  ${line}`);
}
