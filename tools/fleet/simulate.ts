import { connect, type MqttClient } from "mqtt";
import { step } from "../../runtime/agent/lifecycle.ts";
import { reportOf } from "../../runtime/agent/report.ts";
import { type Deployed, newDevice, type State } from "../../runtime/agent/state.ts";
import { systemClock } from "../../runtime/base/clock.ts";
import { silentLog } from "../../runtime/base/log.ts";
import type { BrokerOptions } from "../../runtime/fleet/connection.ts";
import { readJob } from "../../runtime/fleet/jobs.ts";
import { openFleet } from "../../runtime/fleet/mqtt.ts";
import type { Command, Fleet, FleetEvent, FleetListener, Reply } from "../../runtime/fleet/topics.ts";
import { sha256 } from "../../runtime/store/digest.ts";
import { parseEnvelope, type Signers, unseal } from "../../runtime/trust/envelope.ts";
import { type Manifest, manifestPath } from "../../runtime/trust/manifest.ts";
import { SimulatedHealth } from "./simulate-health.ts";

type Event = Parameters<typeof step>[1];
type Effect = ReturnType<typeof step>["effects"][number];

export interface SimulationParts {
  readonly broker: BrokerOptions;
  /** Whose assignments count. */
  readonly signers: Signers;
  readonly manifestOf: (target: string) => Promise<Manifest>;
  /** Fails its trial; by the notes of its release, so that a rollout can be seen to stop. */
  readonly isBad: (manifest: Manifest) => boolean;
  /** In [0, 1). */
  readonly random: () => number;
  /** What each step of a job takes at most. */
  readonly stepMs: number;
  /** How often each tells its health; never by default. */
  readonly healthMs?: number | undefined;
}

/**
 * A device in all that the broker sees of it: the real client, the real envelope and job, the real life of a model and
 * the real reports. Only its work is waiting.
 */
export class SimulatedDevice implements FleetListener {
  readonly id: string;
  readonly #parts: SimulationParts;
  readonly #fleet: Fleet;
  readonly #waiting: FleetEvent[] = [];
  readonly #health: SimulatedHealth;
  readonly #telling: NodeJS.Timeout | undefined;
  #client: MqttClient | undefined;
  #state: State = newDevice;
  #events = 0;
  #closed = false;

  constructor(id: string, active: Deployed | undefined, parts: SimulationParts) {
    this.id = id;
    this.#parts = parts;
    this.#state = { ...newDevice, active };
    this.#health = new SimulatedHealth(id, parts.random);
    if (parts.healthMs !== undefined) this.#telling = setInterval(() => this.#tell(), parts.healthMs);
    const waiting = this.#waiting;
    this.#fleet = openFleet({
      device: id,
      broker: parts.broker,
      listener: this,
      outbox: {
        waiting,
        add: async (event) => void waiting.push(event),
        remove: async (event) => void waiting.splice(waiting.indexOf(event), 1),
      },
      clock: systemClock,
      log: silentLog,
      random: parts.random,
      connect: (url, options) => {
        this.#client = connect(url, options);
        return this.#client;
      },
    });
  }

  get state(): State {
    return this.#state;
  }

  get connectedNow(): boolean {
    return this.#client?.connected === true;
  }

  /** The network is gone, without a word; the client comes back by itself. */
  cut(): void {
    this.#client?.stream.destroy();
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#telling);
    await this.#fleet.close();
  }

  connected(): void {
    const { id } = this;
    void this.#fleet.publish("info", {
      v: 1,
      device: id,
      boot: id,
      runtime: "0.0.0",
      node: process.version,
      profile: "simulated",
      accelerator: null,
    });
    this.#report();
    if (this.#telling) this.#tell();
  }

  desired(payload: Uint8Array): void {
    const hash = sha256(payload);
    if (hash === this.#state.seen?.hash) return;
    this.#take(payload.length === 0 ? { type: "withdrawn" } : this.#read(payload, hash));
  }

  #read(payload: Uint8Array, hash: string): Event {
    const unsigned = { type: "refused", hash, code: "trust/unsigned", message: "not signed by the fleet" } as const;
    try {
      const body = unseal(parseEnvelope(payload), this.#parts.signers);
      const reader = { device: this.id, seen: this.#state.seen, nowMs: Date.now(), form: "signed" as const };
      const reading = readJob(body, hash, reader);
      if (reading.kind === "job") return { type: "job", job: reading.job, hash, unit: "digital" };
      return reading.kind === "refused" ? { type: "refused", ...reading } : { type: "withdrawn" };
    } catch {
      return unsigned;
    }
  }

  takenOver(): void {
    this.cut();
  }

  async command(command: Command): Promise<Reply> {
    if (command.name === "approve") this.#take({ type: "approved" });
    return { ok: true, result: { id: command.id } };
  }

  #take(event: Event): void {
    if (this.#closed) return;
    const { state, effects } = step(this.#state, event);
    const changed = state !== this.#state;
    this.#state = state;
    for (const effect of effects) this.#do(effect);
    if (changed) this.#report();
    if (state.phase.at === "TRIAL" && changed) this.#later(() => void this.#judge());
  }

  #do(effect: Effect): void {
    const waits = effect.do === "work" && effect.what === "wait";
    const { phase } = this.#state;
    if (waits && phase.at === "WAITING" && phase.goal.terms?.consent && !phase.approved) return;
    if (effect.do === "work") this.#later(() => void this.#work());
    if (effect.do !== "announce") return;
    const { level, code, message } = effect.what;
    const event: FleetEvent = { n: ++this.#events, ts: Date.now(), boot: this.id, level, code, msg: message };
    void this.#fleet.publish("event", event);
  }

  async #work(): Promise<void> {
    const { phase } = this.#state;
    if (phase.at === "IDLE" || phase.at === "TRIAL") return;
    if (phase.at !== "ACCEPTED") return this.#take({ type: "done", at: phase.at, derived: "simulated" });
    const { target } = phase.goal;
    if (!target) return;
    const { name, version, model, calibration, probes, accept, trial } = await this.#parts.manifestOf(target.target);
    const release = { name, version, model, calibration, probes, accept, trial, unit: "digital" as const };
    this.#take({ type: "done", at: "ACCEPTED", found: { release, urls: {} } });
  }

  async #judge(): Promise<void> {
    const { phase } = this.#state;
    if (phase.at !== "TRIAL") return;
    const { version, name } = phase.candidate;
    const ok = !this.#parts.isBad(await this.#parts.manifestOf(manifestPath(name, version)));
    this.#take({ type: "health", ok, reason: ok ? undefined : "simulated", inferences: 1000, seconds: 1000 });
  }

  #later(action: () => void): void {
    setTimeout(action, this.#parts.random() * this.#parts.stepMs);
  }

  #tell(): void {
    void this.#fleet.publish("state", this.#health.take(this.#state));
  }

  #report(): void {
    void this.#fleet.publish("job/reported", reportOf(this.#state));
  }
}
