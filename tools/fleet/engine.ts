import type { MqttClient } from "mqtt";
import type { Clock } from "../../runtime/base/clock.ts";
import { Failure } from "../../runtime/base/failure.ts";
import { type commandNames, topicOf } from "../../runtime/fleet/topics.ts";
import type { Audit } from "./audit.ts";
import type { Repository } from "./repository.ts";
import { type Decision, decide, type Rollout, type RolloutStatus, standingOf } from "./rollout.ts";
import { type FleetView, ROLLOUTS } from "./view.ts";

export interface EngineParts {
  readonly client: MqttClient;
  readonly view: FleetView;
  readonly repository: Pick<Repository, "sign">;
  readonly audit: Pick<Audit, "note">;
  readonly clock: Clock;
}

const TICK_MS = 200;
/** Commands expire after this: a device that comes back later ignores what was meant for the moment it missed. */
const COMMAND_MS = 5 * 60 * 1000;

/** Gives orders. All that it knows it reads from the broker, so it can stop at any moment, and another one go on. */
export class Engine {
  readonly #parts: EngineParts;

  constructor(parts: EngineParts) {
    this.#parts = parts;
  }

  async begin(rollout: Rollout): Promise<void> {
    const { id, release, devices, waves, abort } = rollout;
    await this.#note("deploy", { id, release, devices: devices.length, waves, abort });
    await this.#keep(rollout);
  }

  /** @throws Failure input/missing */
  async change(id: string, status: RolloutStatus, reason?: string): Promise<Rollout> {
    const rollout = this.#rollout(id);
    const changed = { ...rollout, ...(status === "running" && goOn(rollout)), status, reason };
    await this.#note(status, { id, reason });
    await this.#keep(changed);
    if (status === "canceled") await this.#withdraw(changed);
    if (status === "rolled-back") await this.#goBack(changed);
    return changed;
  }

  /** Until the rollout is done, or somebody or its abort rule stops it. */
  async drive(id: string, told: (decision: Decision) => void = () => undefined): Promise<Rollout> {
    const { view, clock } = this.#parts;
    /** Ordered here; until the broker has told it back, they look as if they waited. */
    const sent = new Set<string>();
    let soakingSince: number | undefined;
    for (let wave = 0; ; ) {
      const rollout = this.#rollout(id);
      if (rollout.status !== "running") return rollout;
      if (wave >= rollout.waves.length) return this.change(id, "done");
      const decision = decide(rollout, view.devices, wave, clock.now());
      told(decision);
      if (decision.abort !== undefined) return this.#abort(rollout, decision.abort);
      await this.#orderAll(rollout, decision.orders, sent);
      if (decision.waveEnded) soakingSince ??= clock.uptimeMs();
      else soakingSince = undefined;
      const soaked = soakingSince !== undefined && clock.uptimeMs() - soakingSince >= 1000 * rollout.soakSeconds;
      if (!soaked) await view.change(TICK_MS);
      else if (mayGoOn(rollout, ++wave)) soakingSince = undefined;
      else return this.#pause(rollout, wave);
    }
  }

  async #orderAll({ id, release, terms }: Rollout, devices: readonly string[], sent: Set<string>): Promise<void> {
    for (const device of devices.filter((waiting) => !sent.has(waiting))) {
      sent.add(device);
      await this.order(device, id, { action: "install", release, ...terms });
    }
  }

  /** An assignment for one device, signed and retained. */
  async order(device: string, jobId: string, what: Readonly<Record<string, unknown>>): Promise<void> {
    const { client, view, repository, clock } = this.#parts;
    const known = view.devices.get(device)?.report?.seq ?? 0;
    // Several operators never give the same number for long: they share a clock, not a counter.
    const seq = Math.max(known + 1, clock.now());
    const envelope = repository.sign({ v: 1, jobId, seq, device, ...what });
    await client.publishAsync(topicOf(device, "job/desired"), Buffer.from(envelope), { qos: 1, retain: true });
  }

  /** A command to one device, whose answer shows in what it reports. */
  async command(device: string, name: (typeof commandNames)[number]): Promise<void> {
    const body = { notAfter: this.#parts.clock.now() + COMMAND_MS };
    await this.#parts.client.publishAsync(topicOf(device, `cmd/${name}`), JSON.stringify(body), { qos: 1 });
  }

  /** Until an operator has looked at it. */
  async #pause(rollout: Rollout, endedWaves: number): Promise<Rollout> {
    await this.#keep({ ...rollout, endedWaves });
    return this.change(rollout.id, "paused", `wave ${endedWaves} of ${rollout.waves.length} has ended: resume goes on`);
  }

  #abort(rollout: Rollout, reason: string): Promise<Rollout> {
    const statuses = { pause: "paused", cancel: "canceled", rollback: "rolled-back" } as const;
    return this.change(rollout.id, statuses[rollout.abort.action], reason);
  }

  /** Takes back the orders that were not carried out yet. */
  async #withdraw(rollout: Rollout): Promise<void> {
    const { client, view } = this.#parts;
    for (const device of rollout.devices) {
      const standing = standingOf(rollout, view.devices.get(device));
      if (standing !== "under way" && standing !== "silent") continue;
      await client.publishAsync(topicOf(device, "job/desired"), "", { qos: 1, retain: true });
    }
  }

  async #goBack(rollout: Rollout): Promise<void> {
    await this.#withdraw(rollout);
    for (const device of rollout.devices) {
      const view = this.#parts.view.devices.get(device);
      const took = view?.report?.jobId === rollout.id && view.report.state === "COMMITTED";
      if (took) await this.order(device, `${rollout.id}-back`, { action: "rollback" });
    }
  }

  #rollout(id: string): Rollout {
    const rollout = this.#parts.view.rollouts.get(id);
    if (!rollout) throw new Failure("input/missing", `${id}: there is no such rollout`);
    return rollout;
  }

  async #keep(rollout: Rollout): Promise<void> {
    this.#parts.view.rollouts.set(rollout.id, rollout);
    const payload = JSON.stringify(rollout);
    await this.#parts.client.publishAsync(ROLLOUTS + rollout.id, payload, { qos: 1, retain: true });
  }

  async #note(action: string, detail: Readonly<Record<string, unknown>>): Promise<void> {
    await this.#parts.audit.note(action, detail, this.#parts.clock.now());
  }
}

function mayGoOn({ waves, approvedWaves = waves.length }: Rollout, wave: number): boolean {
  return wave === waves.length || wave !== approvedWaves;
}

/** Who resumes a rollout that has ended its approved waves, approves the next one. */
function goOn({ approvedWaves, endedWaves = 0 }: Rollout): Pick<Rollout, "approvedWaves"> {
  return approvedWaves === undefined ? {} : { approvedWaves: Math.max(approvedWaves, endedWaves + 1) };
}
