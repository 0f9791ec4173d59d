import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { systemClock } from "../../runtime/base/clock.ts";
import { download } from "../../runtime/fleet/files/download.ts";
import { smallFiles } from "../../runtime/fleet/files/small-file.ts";
import type { Store } from "../../runtime/store/store.ts";
import { type TargetRef, Trust } from "../../runtime/trust/trust.ts";
import { Keyring } from "../../tools/fleet/keyring.ts";
import { Repository } from "../../tools/fleet/repository.ts";
import { fileJson, type RoleJson, type RoleKeys, signedText } from "../../tools/fleet/roles.ts";
import { type FakeModel, fakeRelease } from "./jobs.ts";
import { MemoryDisk } from "./memory-disk.ts";
import { World } from "./world.ts";

const FOLDER = "/operator";

/** A device, the operator whose root it was enrolled with, and the web server between them, which may be the enemy. */
export class Siege {
  readonly world: World;
  readonly disk: MemoryDisk;
  readonly repository: Repository;
  /** What the server answers instead of what the operator published: `endless` never stops, `down` is an error. */
  readonly tampered: Map<string, Uint8Array | string> = new Map();
  readonly #server: Server;
  #seq = 0;

  private constructor(world: World, disk: MemoryDisk, repository: Repository) {
    this.world = world;
    this.disk = disk;
    this.repository = repository;
    this.#server = createServer((request, response) => {
      const path = (request.url ?? "").slice(1);
      void this.disk.read(`${FOLDER}/repository/${path}`).then((published) => {
        const data = this.tampered.get(path) ?? published;
        if (data === "endless") {
          const timer = setInterval(() => response.write(Buffer.alloc(65_536, "x")), 0);
          response.on("close", () => clearInterval(timer));
        } else if (data === "down") response.writeHead(503).end();
        else if (data === undefined) response.writeHead(404).end();
        else response.end(data);
      });
    });
  }

  /** Version 1, which serves, was released and deployed by the operator. */
  static async begin(): Promise<Siege> {
    const [world, disk] = [new World(), new MemoryDisk()];
    const repository = await Repository.create(disk, FOLDER, world.clock.now(), { count: 2, threshold: 2 });
    const siege = new Siege(world, disk, repository);
    await new Promise<void>((resolve) => siege.#server.listen(0, "127.0.0.1", resolve));
    await siege.start();
    siege.order(await siege.release({ version: "1" }, { rollbackIndex: 1 }));
    const code = await siege.outcome();
    if (code !== "COMMITTED") throw new Error(`version 1: ${code}`);
    return siege;
  }

  get now(): number {
    return this.world.clock.now();
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Starts the device, or starts it again. */
  async start(): Promise<void> {
    this.world.trust = (store) => this.#trust(store);
    const fetch = (url: string, ...[part, options]: FetchRest): Promise<void> =>
      download(url, part, { clock: systemClock, firstPauseMs: 1, ...options });
    await this.world.restart({ fetch, blobUrl: (sha256) => `${this.url}/blobs/${sha256}` });
  }

  /** Releases a model of the tests. */
  async release(model: FakeModel, change: { rollbackIndex?: number; profiles?: string[] } = {}): Promise<TargetRef> {
    const parts = fakeRelease(model).files;
    const file = (name: string): Uint8Array => parts.get(`/${model.version}/${name}`) ?? new Uint8Array();
    const files = { model: file("model"), calibration: file("calibration"), probes: file("probes") };
    return this.repository.release(
      {
        name: "kws",
        version: model.version,
        rollbackIndex: change.rollbackIndex ?? 1,
        requires: { profiles: change.profiles ?? ["test"] },
        accept: { minAgreementPct: 90 },
        trial: { passes: 2, seconds: 1, minInferences: 0 },
        files,
      },
      this.now,
    );
  }

  assignment(release: TargetRef, change: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
    const seq = ++this.#seq;
    return { v: 1, jobId: `job-${seq}`, seq, device: "pi-1", action: "install", release, ...change };
  }

  /** Gives the device a signed assignment. */
  order(release: TargetRef, change: Readonly<Record<string, unknown>> = {}): Uint8Array {
    const envelope = this.repository.sign(this.assignment(release, change));
    this.world.desire(envelope);
    return envelope;
  }

  /** How it ended: the code of what was refused, or COMMITTED. */
  async outcome(): Promise<string> {
    const { world } = this;
    const told = world.reports.length;
    for (let turn = 0; turn < 2000; turn++) {
      await new Promise((resolve) => setTimeout(resolve, 2));
      world.clock.advance(100);
      const last = world.reports.at(-1);
      const ended = world.agent?.state.phase.at === "IDLE" && world.reports.length > told;
      if (ended && last && last.status !== "IN_PROGRESS") return last.refused?.code ?? last.code ?? last.state;
    }
    throw new Error(`it never ended: ${JSON.stringify(world.reports.at(-1))}`);
  }

  /** The published text of a file. */
  async published(name: string): Promise<string> {
    return new TextDecoder().decode(await this.disk.read(`${FOLDER}/repository/metadata/${name}`));
  }

  /** The metadata that is current, as JSON without signatures. */
  async current<T extends RoleJson>(role: string): Promise<T> {
    const signed = async <S>(name: string): Promise<S> => JSON.parse(await this.published(name)).signed;
    const timestamp = await signed<Meta>("timestamp.json");
    if (role === "timestamp") return timestamp as unknown as T;
    const at = timestamp.meta["snapshot.json"].version;
    if (role === "snapshot") return signed(`${at}.snapshot.json`);
    const snapshot = await signed<Meta>(`${at}.snapshot.json`);
    return signed(role === "root" ? "1.root.json" : `${snapshot.meta[`${role}.json`].version}.${role}.json`);
  }

  /** What somebody who has these keys can write. */
  async forge(signed: RoleJson, ...by: readonly RoleKeys[]): Promise<string> {
    return signedText(signed, await Keyring.open(this.disk, `${FOLDER}/keys`), ...by);
  }

  /** Ids of the keys that sign a role. */
  async keysOf(role: string): Promise<RoleKeys> {
    const root = await this.current<Extract<RoleJson, { _type: "root" }>>("root");
    const targets = await this.current<Extract<RoleJson, { _type: "targets" }>>("targets");
    const delegated = targets.delegations?.roles.find(({ name }) => name === role);
    return delegated ?? root.roles[role as keyof typeof root.roles];
  }

  /** Puts a forged file where the device will look, and lists it as somebody with these keys can. */
  async plant(name: "snapshot" | "targets" | "releases", text: string, stolen: readonly string[]): Promise<void> {
    const { version } = JSON.parse(text).signed as { version: number };
    this.tampered.set(`metadata/${version}.${name}.json`, text);
    const above = name === "snapshot" ? "timestamp" : "snapshot";
    if (!stolen.includes(above)) return;
    const old = await this.current<Extract<RoleJson, { _type: "snapshot" | "timestamp" }>>(above);
    const meta = { ...old.meta, [`${name}.json`]: { version, ...fileJson(text) } };
    const forged = await this.forge({ ...old, version: old.version + 1, meta }, await this.keysOf(above));
    if (above === "timestamp") this.tampered.set("metadata/timestamp.json", forged);
    else await this.plant("snapshot", forged, stolen);
  }

  async end(): Promise<void> {
    await this.world.agent?.stop();
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #trust(store: Store): Promise<Trust> {
    return Trust.start({
      root: await this.repository.enrolment(),
      fetch: smallFiles(this.url),
      file: store.trust,
      blobs: store.blobs,
      clock: this.world.clock,
    });
  }
}

interface Meta {
  readonly meta: Readonly<Record<string, { readonly version: number }>>;
}

type FetchRest = [Parameters<typeof download>[1], Omit<Parameters<typeof download>[2], "clock">];
