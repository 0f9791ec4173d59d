import { Agent } from "../../runtime/agent/agent.ts";
import { Leases } from "../../runtime/agent/leases.ts";
import type { AgentParts, Engine, Prepared, Preparer } from "../../runtime/agent/ports.ts";
import { Failure } from "../../runtime/base/failure.ts";
import { silentLog } from "../../runtime/base/log.ts";
import type { FleetEvent, FleetListener, History, ModelFit, Outgoing, Report } from "../../runtime/fleet/topics.ts";
import type { Health } from "../../runtime/health/health.ts";
import type { LinkedAccelerator, MatmulUnit } from "../../runtime/plan/unit.ts";
import type { Files } from "../../runtime/store/files.ts";
import { Store } from "../../runtime/store/store.ts";
import type { Trust } from "../../runtime/trust/trust.ts";
import { CLASSES, type FakeModel, type FakeRelease, payload } from "./jobs.ts";
import { MemoryDisk } from "./memory-disk.ts";
import { settle, VirtualClock } from "./virtual-clock.ts";

const parse = (data: Uint8Array): FakeModel => JSON.parse(new TextDecoder().decode(data));
const oneHot = (at: number): Float32Array => Float32Array.from({ length: CLASSES }, (_, i) => (i === at ? 1 : 0));
const right = (input: number, { shift = 0 }: FakeModel): number => (input + shift) % CLASSES;

/** An agent on a virtual clock, a disk in memory, and a fleet, a server and models that are made up. */
export class World {
  readonly clock: VirtualClock = new VirtualClock();
  /** URL -> content. What is missing does not answer. */
  readonly server: Map<string, Uint8Array> = new Map();
  readonly reports: Report[] = [];
  readonly events: FleetEvent[] = [];
  readonly health: Health[] = [];
  /** The newest ones. */
  history: History | undefined;
  fit: ModelFit | undefined;
  /** How the layers of everything that is prepared come out. */
  layers: Prepared["layers"] = [];
  /** What refitting the tiles does. */
  refit: Pick<Prepared, "steps" | "returned"> = {};
  /** What was prepared, in order. */
  readonly preparations: { readonly version: string; readonly samples: number; readonly unit: string }[] = [];
  files: Files;
  store: Store | undefined;
  accelerator: LinkedAccelerator | undefined;
  reservoirSamples = 0;
  /** Of a device that takes signed jobs only. */
  trust: ((store: Store) => Promise<Trust>) | undefined;
  /** How far the accelerator has drifted. */
  analogWrongEvery: number | undefined;
  /** The process ends when this is what it has come to. */
  diesAt: string | undefined;
  #dead: Promise<void> | undefined;
  agent: Agent | undefined;
  #listener: FleetListener | undefined;
  readonly #asked: Map<string, number> = new Map();

  constructor(files: Files = new MemoryDisk()) {
    this.files = files;
  }

  async start(change: Partial<AgentParts> = {}): Promise<Agent> {
    this.agent = await Agent.start({ ...(await this.parts()), ...change });
    this.#listener?.connected();
    return this.agent;
  }

  /** As the process ends: nothing is said any more, the disk stays. */
  async restart(change: Partial<AgentParts> = {}): Promise<Agent> {
    await (this.#dead ?? this.agent?.stop());
    this.diesAt = this.#dead = undefined;
    return this.start(change);
  }

  get dead(): boolean {
    return this.#dead !== undefined;
  }

  offer({ files }: FakeRelease, origin = "http://fleet"): void {
    for (const [path, data] of files) this.server.set(origin + path, data);
  }

  desire(job: unknown): void {
    this.#listener?.desired(job instanceof Uint8Array ? job : payload(job));
  }

  get report(): Report {
    const last = this.reports.at(-1);
    if (!last) throw new Error("nothing was reported");
    return last;
  }

  /** Lets time pass until it is so. */
  async until(what: string, condition: () => boolean, stepMs = 100): Promise<void> {
    for (let turn = 0; turn < 400; turn++) {
      if (condition()) return;
      await settle(2);
      if (turn % 5 === 4) this.clock.advance(stepMs);
    }
    throw new Error(
      `waited in vain: ${what}; it is ${this.agent?.state.phase.at}, said ${JSON.stringify(this.reports.at(-1))}`,
    );
  }

  async finish(job: { readonly seq: number }): Promise<string> {
    await this.until(`job ${job.seq} ends`, () => {
      const { seq, status } = this.reports.at(-1) ?? { seq: 0, status: "IDLE" };
      return seq === job.seq && status !== "IN_PROGRESS" && this.agent?.state.phase.at === "IDLE";
    });
    return this.report.state;
  }

  /** Asks the serving model; the right answer to x is class x. */
  async answer(input: number): Promise<number | undefined> {
    const output = await this.agent?.infer(Float32Array.of(input));
    return output?.indexOf(1);
  }

  async parts(): Promise<AgentParts> {
    this.store = await Store.open(this.files, "/store");
    return {
      info: { device: "pi-1", runtime: "0.1.0", node: "v20", profile: "test", accelerator: null },
      profile: {
        name: "test",
        calibration: { samples: 32, maxSeconds: 600, maxBytes: 1e9 },
        drift: { checkSeconds: 60, recalibrateBelowPct: 90, healthyAbovePct: 95 },
      },
      store: this.store,
      trust: this.trust && (await this.trust(this.store)),
      blobUrl: (sha256) => `http://fleet/blobs/${sha256}`,
      connect: (listener) => this.#connect(listener),
      fetch: async (url, part) => {
        const data = this.server.get(url);
        if (!data) throw new Failure("download/failed", `${url}: no answer`);
        await part.append(data.subarray(part.length));
        await part.finish();
      },
      preparer: this.#preparer(),
      openEngine: async (model, unit) => this.#engine(parse(model), unit),
      leases: new Leases(this.accelerator),
      host: { read: async () => ({ rss_mb: 50, cpu_pct: 1, temp_c: null }) },
      clock: this.clock,
      log: silentLog,
      reservoirSamples: this.reservoirSamples,
      healthSeconds: 60,
    };
  }

  #connect(listener: FleetListener): ReturnType<AgentParts["connect"]> {
    this.#listener = listener;
    return {
      publish: async (name, said) => this.#heard(name, said),
      close: async () => undefined,
    };
  }

  #heard(name: keyof Outgoing, said: Outgoing[keyof Outgoing]): void {
    if (name === "job/reported") {
      this.reports.push(said as Report);
      if (this.report.state === this.diesAt) this.#dead ??= this.agent?.stop();
    }
    if (name === "event") this.events.push(said as FleetEvent);
    if (name === "history") this.history = said as History;
    if (name === "layers") this.fit = said as ModelFit;
    if (name === "state") this.health.push(said as Health);
  }

  #preparer(): Preparer {
    return {
      prepare: async ({ model, samples, probes, unit, installed }, report, signal) => {
        const fake = parse(model);
        report({ stage: "quantize", done: 0, of: 1 });
        if (fake.preparation === "fails") throw new Failure("import/unsupported-operator", "operator Foo of node 3");
        if (fake.preparation === "hangs") await this.clock.sleep(1e9, signal);
        if (unit === "accelerator" && !installed) await this.accelerator?.place([]);
        this.preparations.push({ version: fake.version, samples: samples.shape[0] ?? 0, unit });
        const answers = [...probes.data].flatMap((x) => [...oneHot(right(x, fake))]);
        return { model, answers: Float32Array.from(answers), layers: this.layers, ...(installed && this.refit) };
      },
    };
  }

  #engine(model: FakeModel, unit: MatmulUnit | undefined): Engine {
    return {
      input: { name: "x", shape: [1, 1] },
      output: { name: "y", shape: [1, CLASSES] },
      inputLength: 1,
      outputLength: CLASSES,
      run: async ([input = 0]) => {
        const asked = (this.#asked.get(model.version) ?? 0) + 1;
        this.#asked.set(model.version, asked);
        this.clock.advance(model.takesMs ?? 0);
        const broken = asked > (model.breaksAfter ?? Number.POSITIVE_INFINITY) || input === model.breaksOn;
        if (broken) return new Float32Array(CLASSES).fill(Number.NaN);
        const wrongEvery = unit && unit.layers.size > 0 ? this.analogWrongEvery : model.wrongEvery;
        const wrong = wrongEvery !== undefined && asked % wrongEvery === 0;
        return oneHot((right(input, model) + (wrong ? 1 : 0)) % CLASSES);
      },
    };
  }
}
