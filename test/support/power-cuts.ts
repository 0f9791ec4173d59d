import type { Fetch } from "../../runtime/agent/ports.ts";
import { uniform } from "../../runtime/base/random.ts";
import { Transfers } from "../../runtime/fleet/files/transfers.ts";
import { sha256 } from "../../runtime/store/digest.ts";
import { Trust } from "../../runtime/trust/trust.ts";
import { Repository } from "../../tools/fleet/repository.ts";
import { BlockLine } from "./block-line.ts";
import { type FakeModel, fakeRelease } from "./jobs.ts";
import { MemoryDisk } from "./memory-disk.ts";
import { World } from "./world.ts";

/** A change of what a device runs, and what may come of it when the power fails on the way. */
export interface Change {
  readonly name: string;
  readonly from: readonly FakeModel[];
  /** What is ordered: an install of this, or something else. */
  readonly update?: FakeModel;
  readonly action?: "rollback" | "recalibrate";
  readonly signed?: boolean;
  /** Nothing is installed, only rehearsed. */
  readonly dryRun?: boolean;
  /** Files come in blocks over the broker. */
  readonly blocks?: boolean;
  readonly serves: readonly string[];
  readonly ends: string;
  readonly state: string;
}

export const changes: readonly Change[] = [
  {
    name: "a good update",
    from: [{ version: "1" }],
    update: { version: "2" },
    serves: ["1", "2"],
    ends: "2",
    state: "COMMITTED",
  },
  {
    name: "an update that fails its self-test",
    from: [{ version: "1" }],
    update: { version: "2", wrongEvery: 3 },
    serves: ["1"],
    ends: "1",
    state: "FAILED",
  },
  {
    name: "an update that fails its trial",
    from: [{ version: "1" }],
    update: { version: "2", shift: 1 },
    serves: ["1", "2"],
    ends: "1",
    state: "ROLLED_BACK",
  },
  {
    name: "a rollback",
    from: [{ version: "1" }, { version: "2" }],
    action: "rollback",
    serves: ["1", "2"],
    ends: "1",
    state: "COMMITTED",
  },
  {
    name: "a recalibration",
    from: [{ version: "1" }],
    action: "recalibrate",
    serves: ["1"],
    ends: "1",
    state: "COMMITTED",
  },
  {
    name: "a dry run",
    from: [{ version: "1" }],
    update: { version: "2" },
    dryRun: true,
    serves: ["1"],
    ends: "1",
    state: "CHECKED",
  },
  {
    name: "an update in blocks over the broker",
    from: [{ version: "1" }],
    update: { version: "2" },
    blocks: true,
    serves: ["1", "2"],
    ends: "2",
    state: "COMMITTED",
  },
  {
    name: "a signed update",
    from: [{ version: "1" }],
    update: { version: "2" },
    signed: true,
    serves: ["1", "2"],
    ends: "2",
    state: "COMMITTED",
  },
];

export interface Figures {
  /** Disks that were found after a cut, and started from. */
  states: number;
  /** Of these, how many had lost the power more than once. */
  repeated: number;
  /** Nothing served. */
  bricks: number;
  /** What served, or was kept, is not what was committed. */
  lost: number;
  /** The sequence of the state file went back. */
  backwards: number;
  /** The change did not end as it should. */
  stuck: number;
}

/**
 * Cuts the power before every `stride`th operation of the disk, and starts from every disk that may be left. From each
 * it goes on to `depth` - 1 further cuts at random moments with random outcomes.
 */
export async function explore(change: Change, stride: number, depth: number, seed: number): Promise<Figures> {
  const { before, begin, seq } = await prepare(change);
  const random = uniform(seed);
  const figures: Figures = { states: 0, repeated: 0, bricks: 0, lost: 0, backwards: 0, stuck: 0 };
  const whole = before.copy();
  const first = await begin(whole);
  await first.finish({ seq });
  await first.agent?.stop();
  for (let cut = 0; cut <= whole.operations; cut += stride) {
    const disk = before.copy();
    disk.cutAt = cut;
    const safe = await die(disk, begin, seq, 0);
    for (const found of safe === undefined ? [] : disk.outcomes()) {
      await judge(change, found, { begin, seq, safe: safe ?? 0, figures, cuts: 1 });
      let [next, known] = [found, safe ?? 0];
      for (let cuts = 2; cuts <= depth; cuts++) {
        const again = next.copy();
        again.cutAt = Math.floor(random() * whole.operations);
        known = (await die(again, begin, seq, known)) ?? known;
        const left = again.outcomes();
        next = left[Math.floor(random() * left.length)];
        await judge(change, next, { begin, seq, safe: known, figures, cuts });
      }
    }
  }
  return figures;
}

type Begin = (disk: MemoryDisk) => Promise<World>;

interface Case {
  readonly begin: Begin;
  readonly seq: number;
  /** The sequence that was safe before the cut. */
  readonly safe: number;
  readonly figures: Figures;
  readonly cuts: number;
}

async function judge(change: Change, found: MemoryDisk, { begin, seq, safe, figures, cuts }: Case): Promise<void> {
  figures.states++;
  if (cuts > 1) figures.repeated++;
  const world = await begin(found.copy()).catch(() => undefined);
  const active = world?.agent?.serving.loaded?.deployed.version;
  if (!world || active === undefined) figures.bricks++;
  else if (!change.serves.includes(active)) figures.lost++;
  if ((world?.store?.state.sequence ?? 0) < safe) figures.backwards++;
  const state = await world?.finish({ seq }).catch(() => "stuck");
  await world?.agent?.stop();
  if (state === change.state && world?.report.active?.version === change.ends) return;
  // A trial that lost the power again and again is no proof of a model, so that is given up.
  const givenUp = cuts > 1 && world?.report.message?.includes("restarted") === true;
  if (!givenUp || world?.report.active?.version !== change.from.at(-1)?.version) figures.stuck++;
}

/** Runs the change until the power fails; the sequence that was safe by then, or undefined if it never failed. */
async function die(disk: MemoryDisk, begin: Begin, seq: number, known: number): Promise<number | undefined> {
  const world = await begin(disk).catch(() => undefined);
  if (!world) return known;
  const finished = (): boolean => world.reports.at(-1)?.seq === seq && world.report.status !== "IN_PROGRESS";
  await world.until("the cut", () => disk.operations > disk.cutAt || finished());
  await world.agent?.stop();
  return disk.operations > disk.cutAt ? (world.store?.state.sequence ?? known) : undefined;
}

/** A disk on which `from` was installed, one after the other, and how a device with it takes on the change. */
async function prepare(change: Change): Promise<{ before: MemoryDisk; begin: Begin; seq: number }> {
  const before = new MemoryDisk();
  const operator = change.signed === true ? await Operator.open() : undefined;
  const orders: unknown[] = [];
  for (const model of [...change.from, ...(change.update ? [change.update] : [])]) {
    const seq = orders.length + 1;
    const action = change.dryRun === true && model === change.update ? "dryRun" : "install";
    orders.push((await operator?.job(model, seq)) ?? unsigned(model, seq, action));
  }
  const world = new World(before);
  await equip(world, change, operator);
  await world.start();
  for (const [i, { version }] of change.from.entries()) {
    world.desire(orders[i]);
    if ((await world.finish({ seq: i + 1 })) !== "COMMITTED") throw new Error(`${version} was not installed`);
  }
  await world.agent?.stop();
  const seq = change.from.length + 1;
  const order = orders[seq - 1] ?? { v: 1, jobId: "upkeep", seq, device: "pi-1", action: change.action };
  const begin: Begin = async (disk) => {
    const next = new World(disk);
    await equip(next, change, operator);
    await next.start(change.blocks === true ? { fetch: overBroker(next) } : {});
    next.desire(order);
    return next;
  };
  return { before, begin, seq };
}

/** Blocks so small that a file has several. */
function overBroker({ server, clock }: World): Fetch {
  const transfers = new Transfers();
  const files = [...server.values()].map((data): [string, Uint8Array] => [`blobs/${sha256(data)}`, data]);
  new BlockLine(transfers, new Map(files)).connect(32);
  return (_, part, options) => transfers.fetch(part, { clock, ...options });
}

function unsigned(model: FakeModel, seq: number, action: "install" | "dryRun"): unknown {
  const trial = { passes: 2, seconds: 1, minInferences: 0, minContinuityPct: 50 };
  return fakeRelease(model).job(seq, { trial, action });
}

async function equip(world: World, { from, update }: Change, operator: Operator | undefined): Promise<void> {
  for (const model of [...from, ...(update ? [update] : [])]) world.offer(fakeRelease(model));
  await operator?.equip(world);
}

/** Somebody who signs, without a network in between. */
class Operator {
  readonly #disk: MemoryDisk;
  readonly #repository: Repository;

  private constructor(disk: MemoryDisk, repository: Repository) {
    this.#disk = disk;
    this.#repository = repository;
  }

  static async open(): Promise<Operator> {
    const disk = new MemoryDisk();
    const now = new World().clock.now();
    return new Operator(disk, await Repository.create(disk, "/op", now, { count: 1, threshold: 1 }));
  }

  async job(model: FakeModel, seq: number): Promise<Uint8Array> {
    const parts = fakeRelease(model).files;
    const file = (name: string): Uint8Array => parts.get(`/${model.version}/${name}`) ?? new Uint8Array();
    const release = await this.#repository.release(
      {
        name: "kws",
        version: model.version,
        rollbackIndex: 1,
        requires: {},
        accept: { minAgreementPct: 90 },
        trial: { passes: 2, seconds: 1, minInferences: 0 },
        files: { model: file("model"), calibration: file("calibration"), probes: file("probes") },
      },
      new World().clock.now(),
    );
    return this.#repository.sign({ v: 1, jobId: `job-${seq}`, seq, device: "pi-1", action: "install", release });
  }

  async equip(world: World): Promise<void> {
    for (const sha of await this.#disk.list("/op/repository/blobs")) {
      world.server.set(
        `http://fleet/blobs/${sha}`,
        (await this.#disk.read(`/op/repository/blobs/${sha}`)) ?? new Uint8Array(),
      );
    }
    const root = await this.#repository.enrolment();
    world.trust = (store) =>
      Trust.start({
        root,
        fetch: (path) => this.#disk.read(`/op/repository/${path}`),
        file: store.trust,
        blobs: store.blobs,
        clock: world.clock,
      });
  }
}
