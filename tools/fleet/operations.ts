import { Failure, isFailure } from "../../runtime/base/failure.ts";
import { disk } from "../../runtime/store/disk.ts";
import { progressBar } from "../cli/progress.ts";
import { untilSignal } from "../cli/signal.ts";
import { table } from "../cli/table.ts";
import { Audit } from "./audit.ts";
import { type Desk, openDesk, readDeskConfig } from "./desk.ts";
import { type Decision, decide, type Rollout, type RolloutStatus } from "./rollout.ts";
import { type Device, select } from "./view.ts";

export interface DeskOptions {
  readonly config: string;
  readonly json?: boolean;
}

async function at<T>({ config }: DeskOptions, work: (desk: Desk) => Promise<T>): Promise<T> {
  const desk = await openDesk(config);
  try {
    return await work(desk);
  } finally {
    await desk.close();
  }
}

/** `polaredge fleet ls`: one line for each device. */
export function list(options: DeskOptions & { readonly to: string }): Promise<string> {
  return at(options, async ({ view }) => {
    const devices = select(view, options.to).flatMap((id) => view.devices.get(id) ?? []);
    if (options.json === true) return JSON.stringify(devices, undefined, 2);
    const titles = ["device", "", "profile", "model", "version", "health", "agreement", "job"];
    return table(
      titles.map((title) => ({ title })),
      devices.map(lineOf),
    );
  });
}

function lineOf({ id, online, info, report, health }: Device): string[] {
  const agreement = health?.agreement_pct;
  return [
    id,
    online ? "online" : "offline",
    info?.profile ?? "-",
    report?.active?.name ?? "-",
    report?.active?.version ?? "-",
    health?.status ?? "-",
    typeof agreement === "number" ? `${agreement.toFixed(1)} %` : "-",
    report?.state ?? "-",
  ];
}

/** `polaredge fleet show`: all that a device says. @throws Failure input/missing */
export function show(device: string, options: DeskOptions): Promise<string> {
  return at(options, async ({ view }) => {
    const [id = ""] = select(view, device);
    return JSON.stringify(view.devices.get(id), undefined, 2);
  });
}

export interface DeployOptions extends DeskOptions {
  readonly to: string;
  readonly waves: string;
  readonly soak: number;
  readonly maxInFlight: number;
  readonly abortPct: number;
  readonly abortMin: number;
  readonly onAbort: string;
  readonly dryRun?: boolean;
  readonly rehearse?: boolean;
  readonly approve?: boolean;
  readonly silent?: number;
  readonly window?: string;
  readonly consent?: boolean;
  readonly maxKbps?: number;
}

/** `polaredge fleet deploy`. Returns when the rollout has ended or was stopped. @throws Failure input/... */
export function deploy(release: string, options: DeployOptions): Promise<{ text: string; done: boolean }> {
  return at(options, async (desk) => {
    const rollout = await plan(desk, release, options);
    if (options.dryRun === true) return { text: planText(rollout), done: true };
    await desk.engine.begin(rollout);
    return follow(desk, rollout.id);
  });
}

async function plan({ view, repository }: Desk, release: string, options: DeployOptions): Promise<Rollout> {
  const target = `releases/${release}.json`;
  const { model } = await repository.manifest(target);
  const ref = repository.releases.find((each) => each.target === target);
  if (!ref) throw new Failure("input/missing", `${target}: there is no such release`);
  const action = (["pause", "cancel", "rollback"] as const).find((known) => known === options.onAbort);
  if (!action) throw new Failure("input/malformed", `--on-abort: expected pause, cancel or rollback`);
  return {
    v: 1,
    // It is part of a topic, and NATS takes no dots in those.
    id: `${release.replaceAll(".", "_")}-${Date.now().toString(36)}`,
    release: ref,
    terms: termsIn(options),
    model: model.sha256,
    devices: select(view, options.to),
    waves: wavesIn(options.waves),
    soakSeconds: options.soak,
    maxInFlight: options.maxInFlight,
    silentSeconds: options.silent,
    ...(options.approve === true && { approvedWaves: 1 }),
    abort: { pct: options.abortPct, min: options.abortMin, action },
    status: "running",
  };
}

function termsIn({ rehearse, window: text, consent, maxKbps: maxKBps }: DeployOptions): NonNullable<Rollout["terms"]> {
  const [, from, to] = /^(\d\d:\d\d)-(\d\d:\d\d)$/.exec(text ?? "") ?? [];
  if (text !== undefined && (from === undefined || to === undefined)) {
    throw new Failure("input/malformed", `--window: expected HH:MM-HH:MM in UTC, found ${text}`);
  }
  return {
    ...(rehearse === true && { action: "dryRun" }),
    ...(maxKBps !== undefined && { download: { maxKBps } }),
    ...((from !== undefined || consent) && {
      activate: { consent, window: from === undefined || to === undefined ? undefined : { from, to } },
    }),
  };
}

function wavesIn(text: string): readonly number[] {
  const waves = text.split(",").map((share) => Number(share.replace(/%$/, "")));
  const rising = waves.every((share, i) => share > (waves[i - 1] ?? 0) && share <= 100);
  if (rising && waves.at(-1) === 100) return waves;
  throw new Failure("input/malformed", `--waves: expected rising shares that end at 100%, found ${text}`);
}

function planText({ release, devices, waves }: Rollout): string {
  const sizes = waves.map((share) => Math.max(1, Math.ceil((devices.length * share) / 100)));
  return `${release.target} (${release.sha256})\n${waves.map((share, i) => `wave ${i + 1}: ${share} %, ${sizes[i]} devices`).join("\n")}`;
}

async function follow({ engine, shareArtifacts }: Desk, id: string): Promise<{ text: string; done: boolean }> {
  await shareArtifacts();
  const bar = progressBar();
  let last: Decision | undefined;
  const { status, reason, devices } = await engine.drive(id, (decision) => {
    last = decision;
    bar.show(`wave ${decision.wave + 1}`, decision.counts.succeeded, devicesOf(decision));
  });
  bar.end();
  const counts = Object.entries(last?.counts ?? {}).filter(([, count]) => count > 0);
  const text = `${id}: ${status}${reason === undefined ? "" : ` (${reason})`}, ${devices.length} devices: `;
  return { text: text + counts.map(([standing, count]) => `${count} ${standing}`).join(", "), done: status === "done" };
}

function devicesOf({ counts }: Decision): number {
  return Object.values(counts).reduce((sum, count) => sum + count, 0);
}

/** `polaredge fleet artifacts`: until a signal. */
export function serveArtifacts(options: DeskOptions): Promise<void> {
  return at(options, async ({ shareArtifacts }) => {
    await shareArtifacts();
    console.log("answering devices that ask for files at the broker; Ctrl-C ends it");
    await untilSignal();
  });
}

/** `polaredge fleet watch`: the rollouts and where their devices stand. */
export function watch(options: DeskOptions): Promise<string> {
  return at(options, async ({ view }) => {
    const rollouts = [...view.rollouts.values()].map((rollout) => ({
      rollout: rollout.id,
      status: rollout.status,
      reason: rollout.reason ?? "",
      ...decide(rollout, view.devices, rollout.waves.length - 1, Date.now()).counts,
    }));
    if (options.json === true) return JSON.stringify(rollouts, undefined, 2);
    const titles = [
      "rollout",
      "status",
      "succeeded",
      "under way",
      "waiting",
      "failed",
      "rolled back",
      "silent",
      "lost",
    ] as const;
    return table(
      titles.map((title) => ({ title })),
      rollouts.map((rollout) => titles.map((title) => String(rollout[title]))),
    );
  });
}

/** `polaredge fleet pause`, `cancel`; `resume` goes on with it here, whoever began it. @throws Failure input/missing */
export function change(id: string, status: RolloutStatus, options: DeskOptions): Promise<string> {
  return at(options, async (desk) => {
    await desk.engine.change(id, status);
    return status === "running" ? (await follow(desk, id)).text : `${id}: ${status}`;
  });
}

/** `polaredge fleet rollback`, `recalibrate`, `remove`: an order for each device of a selection, at once. */
export function order(
  action: "rollback" | "recalibrate" | "remove",
  options: DeskOptions & { to: string },
): Promise<string> {
  return at(options, async ({ view, engine, audit }) => {
    const devices = select(view, options.to);
    await audit.note(action, { devices }, Date.now());
    for (const device of devices) await engine.order(device, `${action}-${Date.now().toString(36)}`, { action });
    return `${action}: ordered for ${devices.length} devices`;
  });
}

/** `polaredge fleet approve`: where a device waits for consent, an operator may give it too. */
export function approve(options: DeskOptions & { to: string }): Promise<string> {
  return at(options, async ({ view, engine, audit }) => {
    const waiting = (id: string): boolean => view.devices.get(id)?.report?.state === "WAITING";
    const devices = select(view, options.to).filter(waiting);
    await audit.note("approve", { devices }, Date.now());
    for (const device of devices) await engine.command(device, "approve");
    return `approve: told to ${devices.length} devices`;
  });
}

/** `polaredge fleet audit`: the log, checked. @throws Failure store/corrupt */
export async function audit(options: DeskOptions): Promise<string> {
  const { folder } = await readDeskConfig(options.config);
  const heads = await at(options, ({ auditHeads }) => auditHeads()).catch((error: unknown) => {
    if (!isFailure(error, "fleet/unreachable")) throw error;
    return undefined;
  });
  const entries = await new Audit(disk, folder).read(heads);
  if (options.json === true) return JSON.stringify(entries, undefined, 2);
  const rows = entries.map(({ n, ts, by, action, detail }) => [
    String(n),
    new Date(ts).toISOString(),
    by,
    action,
    String(detail.id ?? detail.devices ?? ""),
  ]);
  const titles = ["n", "when", "who", "what", "on"].map((title) => ({ title }));
  const others = heads?.filter(({ log }) => log !== entries[0]?.hash) ?? [];
  return [
    table(titles, rows),
    `${entries.length} entries, none changed or missing${heads ? "" : " (the broker, which knows how many there were, can't be asked)"}`,
    ...others.map(({ log, n }) => `the broker knows of another log, ${log.slice(0, 16)}, of ${n} entries`),
  ].join("\n");
}
