import { connectAsync, type MqttClient } from "mqtt";
import type { Deployed } from "../../runtime/agent/state.ts";
import { systemClock } from "../../runtime/base/clock.ts";
import { uniform } from "../../runtime/base/random.ts";
import type { Files } from "../../runtime/store/files.ts";
import type { TargetRef } from "../../runtime/trust/trust.ts";
import { Audit } from "../../tools/fleet/audit.ts";
import { Engine } from "../../tools/fleet/engine.ts";
import { Repository } from "../../tools/fleet/repository.ts";
import type { Rollout } from "../../tools/fleet/rollout.ts";
import { SimulatedDevice } from "../../tools/fleet/simulate.ts";
import { FleetView } from "../../tools/fleet/view.ts";

/** An operator and many devices at one broker. */
export class SimulatedFleet {
  readonly devices: SimulatedDevice[] = [];
  readonly repository: Repository;
  readonly view: FleetView;
  readonly engine: Engine;
  readonly random: () => number = uniform(5);
  /** Events that the operator heard, each once: device and number. */
  readonly events: Set<string> = new Set();
  readonly #url: string;
  readonly #client: MqttClient;

  private constructor(url: string, client: MqttClient, repository: Repository, view: FleetView, audit: Audit) {
    this.#url = url;
    this.#client = client;
    this.repository = repository;
    this.view = view;
    this.engine = new Engine({ client, view, repository, audit, clock: systemClock });
    client.on("message", (topic, payload) => {
      if (topic.endsWith("/event")) this.events.add(`${topic} ${JSON.parse(String(payload)).n}`);
    });
  }

  /** @param folder of the operator */
  static async open(url: string, version: 5 | 4, files: Files, folder: string): Promise<SimulatedFleet> {
    const repository = await Repository.create(files, folder, Date.now(), { count: 1, threshold: 1 });
    const client = await connectAsync(url, {
      clientId: "operator",
      clean: false,
      protocolVersion: version,
      ...(version === 5 && { properties: { sessionExpiryInterval: 600 } }),
      reconnectPeriod: 300,
    });
    const view = await FleetView.open(client);
    await client.subscribeAsync("polaredge/v1/+/event", { qos: 1 });
    return new SimulatedFleet(url, client, repository, view, new Audit(files, folder));
  }

  async release(version: string, notes = "good"): Promise<TargetRef> {
    const file = new TextEncoder().encode(`model ${version}`);
    return this.repository.release(
      {
        name: "kws",
        version,
        rollbackIndex: 0,
        requires: {},
        accept: { minAgreementPct: 90 },
        trial: { passes: 2, seconds: 1, minInferences: 0 },
        notes,
        files: { model: file, calibration: file, probes: file },
      },
      Date.now(),
    );
  }

  /** Devices with this release, so many at a time that the broker can listen. */
  async join(count: number, from: string, healthMs?: number): Promise<void> {
    const { name, version, model, calibration, probes, accept, trial } = await this.repository.manifest(from);
    const release = { name, version, model, calibration, probes, accept, trial };
    const active: Deployed = { ...release, derived: "simulated", unit: "digital" };
    const { signers } = this.repository;
    const parts = {
      broker: { url: this.#url },
      signers,
      manifestOf: (target: string) => this.repository.manifest(target),
      isBad: ({ notes }: { readonly notes?: string | undefined }) => notes === "bad",
      random: this.random,
      stepMs: 100,
      healthMs,
    };
    for (let i = 0; i < count; i++) {
      this.devices.push(new SimulatedDevice(`sim-${i}`, active, parts));
      if (i % 50 === 49) await this.#until(() => this.online > i - 25);
    }
    await this.#until(() => this.online === count);
  }

  get online(): number {
    return [...this.view.devices.values()].filter(({ online, report }) => online && report).length;
  }

  async plan(id: string, version: string, release: TargetRef, change: Partial<Rollout> = {}): Promise<Rollout> {
    const { model } = await this.repository.manifest(`releases/kws-${version}.json`);
    const rollout: Rollout = {
      v: 1,
      id,
      release,
      model: model.sha256,
      devices: this.devices.map(({ id: device }) => device),
      waves: [1, 10, 100],
      soakSeconds: 0.5,
      maxInFlight: 400,
      abort: { pct: 10, min: 1, action: "pause" },
      status: "running",
      ...change,
    };
    await this.engine.begin(rollout);
    return rollout;
  }

  serving(version: string): number {
    return this.devices.filter(({ state }) => state.active?.version === version).length;
  }

  async end(): Promise<void> {
    await Promise.all(this.devices.map((device) => device.close()));
    await this.#client.endAsync(true);
  }

  async #until(condition: () => boolean): Promise<void> {
    for (let end = performance.now() + 120_000; !condition(); ) {
      if (performance.now() > end) throw new Error(`only ${this.online} devices are there`);
      await this.view.change(20);
    }
  }
}
